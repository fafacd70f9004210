/** What the supervisor hands to a process: `--home DIR --port N --listen ADDRESS [--number K]`. */
import { parseArgs } from 'node:util'
import { addressesOf, homeAt, type Addresses, type Home } from './home.ts'
import { readSettings, type Settings } from './settings.ts'

export interface ProcessSetting {
  home: Home
  settings: Settings
  addresses: Addresses
  number: number
}

export async function readArguments(argv: string[]): Promise<ProcessSetting> {
  const { values } = parseArgs({
    args: argv,
    options: {
      home: { type: 'string' },
      port: { type: 'string' },
      listen: { type: 'string' },
      number: { type: 'string' },
    },
  })
  const home = homeAt(values.home)
  const settings = await readSettings(home, values.port === undefined ? undefined : Number(values.port), values.listen)
  return { home, settings, addresses: addressesOf(settings.http), number: Number(values.number ?? 1) }
}

/** Resolves at SIGTERM or SIGINT. */
export function stopSignal(): Promise<void> {
  return new Promise((done) => {
    process.once('SIGTERM', () => done())
    process.once('SIGINT', () => done())
  })
}
