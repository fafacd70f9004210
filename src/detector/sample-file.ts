/** For tests only: small run files, and all that a reader gave. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryDirectory } from '../foundation/testing.ts'
import { createMidasWriter } from './midas-writer.ts'
import type { BankFormat, MidasBank } from './midas-bank.ts'
import type { MidasEvent } from './midas-event.ts'
import { openMidasFile } from './midas-reader.ts'
import type { MidasOutcome, ReaderOptions } from './midas-reader.ts'

export interface SampleEvent {
  id: number
  banks: MidasBank[]
  format: BankFormat
}

export const bank = (name: string, type: number, ...bytes: number[]): MidasBank => ({
  name,
  type,
  data: Uint8Array.from(bytes),
})

export const fewEvents: SampleEvent[] = [
  {
    id: 1,
    format: '32-bit',
    banks: [bank('CAM0', 4, ...Array.from({ length: 32 }, (_, i) => i)), bank('DGH0', 6, 0, 0, 0, 0)],
  },
  { id: 7, format: '16-bit', banks: [bank('TCAM', 9, 1, 2, 3, 4)] },
  { id: 1, format: '32-bit-aligned', banks: [bank('CAM0', 4, 9, 9, 9, 9, 9, 9, 9, 9), bank('EMPT', 1)] },
]

/** A run file of these events in a folder of its own, removed when the test ends. */
export async function sampleRun(
  events: readonly SampleEvent[] = fewEvents,
  options: { gzip?: boolean; number?: number } = {},
): Promise<string> {
  const { path: folder } = await temporaryDirectory()
  const path = join(folder, options.gzip ? 'run00042.mid.gz' : 'run00042.mid')
  const writer = await createMidasWriter(path, { gzip: options.gzip ?? false })
  const run = { number: options.number ?? 42, odb: { Runinfo: { 'Run number': 42 } } }
  await writer.beginOfRun({ ...run, timestampSeconds: 1000 })
  for (const [serialNumber, event] of events.entries())
    await writer.event({ ...event, serialNumber, timestampSeconds: 1000 + serialNumber })
  await writer.endOfRun({ ...run, timestampSeconds: 2000 })
  await writer.close()
  return path
}

export async function fileOf(bytes: Uint8Array, name = 'run00043.mid'): Promise<string> {
  const { path: folder } = await temporaryDirectory()
  const path = join(folder, name)
  await writeFile(path, bytes)
  return path
}

export async function readAll(
  path: string,
  options: ReaderOptions = {},
): Promise<{ events: MidasEvent[]; outcome: MidasOutcome }> {
  const reader = openMidasFile(path, options)
  const events: MidasEvent[] = []
  for await (const event of reader) events.push(event)
  return { events, outcome: reader.outcome }
}
