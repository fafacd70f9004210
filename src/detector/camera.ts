import type { MidasBank, BankType } from './midas-bank.ts'
import { bankTypes, decodeBanks } from './midas-bank.ts'
import type { MidasEvent } from './midas-event.ts'
import { detectorFaults } from './errors.ts'

export type CameraType = 'Fusion' | 'Flash' | 'Quest' | 'crop'

/** One picture of one camera, as the camera gave it: pixels row by row from the first row read, value in counts. */
export interface Frame {
  /** The n of bank CAMn. */
  camera: number
  width: number
  height: number
  pixels: Uint16Array
  /** From the run's ODB, where the caller knows it. */
  exposureUs?: number
}

/** Full frames: ORCA Fusion, ORCA Flash, ORCA Quest. */
const sensors: { type: CameraType; width: number; height: number }[] = [
  { type: 'Fusion', width: 2304, height: 2304 },
  { type: 'Flash', width: 2048, height: 2048 },
  { type: 'Quest', width: 4096, height: 2304 },
]

export const isCameraBank = (name: string): boolean => /^CAM[0-9]$/.test(name)

/**
 * Width and height of a camera bank. The bank has no header, so the shape follows from its size: a full sensor, or a square crop;
 * `hint` (from the ODB) decides where it fits the size. Undefined where nothing fits.
 */
export function frameShape(
  sizeBytes: number,
  hint?: { width: number; height: number },
): { width: number; height: number } | undefined {
  if (hint && hint.width > 0 && hint.height > 0 && hint.width * hint.height * 2 === sizeBytes)
    return { width: hint.width, height: hint.height }
  const sensor = sensors.find((one) => one.width * one.height * 2 === sizeBytes)
  if (sensor) return { width: sensor.width, height: sensor.height }
  const side = Math.round(Math.sqrt(sizeBytes / 2))
  return side > 0 && side * side * 2 === sizeBytes ? { width: side, height: side } : undefined
}

export function cameraTypeOf(width: number, height: number): CameraType {
  return sensors.find((one) => one.width === width && one.height === height)?.type ?? 'crop'
}

/** The frame in one camera bank. Shares memory with the bank where its alignment allows. Throws `badFrame` for a size no camera has. */
export function frameOf(bank: MidasBank, hint?: { width: number; height: number }): Frame {
  const shape = frameShape(bank.data.length, hint)
  if (!shape)
    throw detectorFaults.badFrame(
      `Bank ${bank.name} of ${bank.data.length} bytes is neither a known sensor nor a square of 16-bit pixels.`,
      {
        hint: 'Cropped rectangles need their width and height from the ODB.',
      },
    )
  const count = shape.width * shape.height
  const pixels =
    bank.data.byteOffset % 2 === 0
      ? new Uint16Array(bank.data.buffer as ArrayBuffer, bank.data.byteOffset, count)
      : new Uint16Array(bank.data.slice().buffer as ArrayBuffer, 0, count)
  return { camera: Number(bank.name[3]), ...shape, pixels }
}

/** All camera frames of an event (none for a slow-control event). Throws `badFrame` as `frameOf`. */
export function framesOf(event: MidasEvent, hint?: { width: number; height: number }): Frame[] {
  if (event.kind !== 'event') return []
  return decodeBanks(event.data)
    .banks.filter((bank) => isCameraBank(bank.name))
    .map((bank) => frameOf(bank, hint))
}

/** The bank that holds a frame. Shares memory with it. */
export function cameraBank(frame: Frame): MidasBank {
  const type: BankType = 'u16'
  return {
    name: `CAM${frame.camera}`,
    type: bankTypes[type].word,
    data: new Uint8Array(frame.pixels.buffer as ArrayBuffer, frame.pixels.byteOffset, frame.pixels.byteLength),
  }
}
