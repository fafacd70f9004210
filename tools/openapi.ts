/** npm run openapi: writes openapi.json from the contracts of all rooms. `openApiText` is what the check compares. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Contract } from '../src/foundation/contract.ts'
import { openApiOf } from '../src/foundation/openapi.ts'
import { rooms } from './rooms.ts'
import { root } from './sources.ts'

export const openApiPath = join(root, 'openapi.json')

export async function openApiText(): Promise<{ text: string; contracts: number; routes: number }> {
  const contracts: Contract[] = []
  for (const room of rooms) {
    const path = join(root, 'src', room, 'contract.ts')
    if (room === 'foundation' || !existsSync(path)) continue
    const exported = (await import(pathToFileURL(path).href)) as Record<string, unknown>
    contracts.push(...Object.values(exported).filter(isContract))
  }
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const routes = contracts.reduce((count, contract) => count + Object.keys(contract.routes).length, 0)
  return { text: `${JSON.stringify(openApiOf(contracts, version), null, 1)}\n`, contracts: contracts.length, routes }
}

function isContract(value: unknown): value is Contract {
  return typeof value === 'object' && value !== null && 'room' in value && 'routes' in value
}

if (import.meta.main) {
  const { text, contracts, routes } = await openApiText()
  writeFileSync(openApiPath, text)
  console.log(`openapi.json: ${routes} routes of ${contracts} contracts`)
}
