/**
 * The control process: the only one that opens the database for writing. It serves the API and OIDC on a UNIX socket
 * (gateways pass requests on), follows storage, schedules jobs, and publishes what gateways decide from.
 */
import { rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { removeTornWrites } from '../foundation/files.ts'
import { createLogger } from '../foundation/log.ts'
import { readArguments, stopSignal } from './arguments.ts'
import { openPlatform } from './composition.ts'
import { gracefulEnd } from './control-stop.ts'
import { standbyVariable, untilCalled } from './standby.ts'

const { home, settings, addresses } = await readArguments(process.argv.slice(2))
const log = createLogger({ process: 'control' })
if (process.env[standbyVariable] !== undefined) await untilCalled(home)
await removeTornWrites(home.run, (name) => name === basename(home.snapshot))
await using platform = await openPlatform({ home, settings, addresses, log })
const endTraffic = gracefulEnd(platform.app, home.controlSocket)
await rm(home.controlSocket, { force: true })
await platform.app.listen({ path: home.controlSocket })
log.info({ home: home.folder, url: addresses.publicUrl }, 'control serves')
await stopSignal()
log.info('control stops')
await endTraffic()
