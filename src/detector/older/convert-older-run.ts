/** An older run in today's format, so that everything works with it as with any other run. */
import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ensureDirectory } from '../../foundation/files.ts'
import { cameraBank, cameraTypeOf } from '../camera.ts'
import { detectorFaults } from '../errors.ts'
import { createMidasWriter } from '../midas-writer.ts'
import { openOlderRun } from './older-run.ts'

export interface ConvertOptions {
  /** Where `run00012.mid` is written. */
  directory: string
  /** Needed where neither the name nor the content of the file tells. */
  number?: number
  /** When the run was taken, UTC: the older formats do not say. */
  startMs: number
  description?: string
  kind?: 'data' | 'pedestal'
  gzip?: boolean
  signal?: AbortSignal
  onPicture?(done: number, of: number): void
}

/**
 * Writes the pictures of an older run as a MIDAS run file; waveforms are left behind. A conversion that fails leaves no
 * file. Throws what `openOlderRun` throws, `badOptions` without a number, `alreadyThere`.
 */
export async function convertOlderRun(
  source: string,
  options: ConvertOptions,
): Promise<{ path: string; number: number; pictures: number }> {
  const run = await openOlderRun(source)
  try {
    const number = options.number ?? run.number
    if (number === undefined)
      throw detectorFaults.badOptions(`The name of ${source} does not tell its run number.`, {
        hint: 'Give the number of the run.',
      })
    if (run.pictures === 0) throw detectorFaults.badPictures(`${source} holds no picture.`)
    const path = join(options.directory, `run${String(number).padStart(5, '0')}.mid${options.gzip ? '.gz' : ''}`)
    const timestampSeconds = Math.floor(options.startMs / 1000)
    const first = await run.picture(0)
    await ensureDirectory(options.directory)
    const odb = {
      Runinfo: {
        'Run number': number,
        'Start time binary': timestampSeconds,
        'Stop time binary': timestampSeconds,
      },
      Configurations: { Pedestal: options.kind === 'pedestal' },
      Experiment: {
        'Run Parameters': {
          'Run description': options.description ?? `${run.format} pictures of ${basename(source)}, converted`,
        },
      },
      Equipment: {
        Trigger: {
          Settings: {
            'Camera type': [cameraTypeOf(first.width, first.height)],
            'Camera width': first.width,
            'Camera height': first.height,
          },
        },
      },
      Conversion: { Source: basename(source), Format: run.format },
    }
    const writer = await createMidasWriter(path, { gzip: options.gzip ?? false })
    try {
      await writer.beginOfRun({ number, timestampSeconds, odb })
      for (let k = 0; k < run.pictures; k++) {
        options.signal?.throwIfAborted()
        const frame = k === 0 ? first : await run.picture(k)
        await writer.event({ id: 1, serialNumber: k, timestampSeconds, banks: [cameraBank(frame)] })
        options.onPicture?.(k + 1, run.pictures)
      }
      await writer.endOfRun({ number, timestampSeconds, odb })
      await writer.close()
    } catch (error) {
      await writer.close().catch(() => undefined)
      await rm(path, { force: true })
      throw error
    }
    return { path, number, pictures: run.pictures }
  } finally {
    await run.close()
  }
}
