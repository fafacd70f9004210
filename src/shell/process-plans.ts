/** How the processes of this version are started. */
import { join } from 'node:path'
import { addressesOf, type Home } from './home.ts'
import type { ProcessPlan } from './process-records.ts'
import { serviceAccount } from './service-account.ts'
import type { Settings } from './settings.ts'

/** A gateway's garbage is short-lived buffers: marking in small steps costs it more than it saves (bench/storage.ts). */
const gatewayNodeOptions = ['--no-incremental-marking']
/** Threads for fsync, of which a gateway has many under way. */
const environment = { UV_THREADPOOL_SIZE: '16' }

/** `program`: the copy that the processes run from. The same settings give the same plans: that is how they are adopted. */
export function processPlans(home: Home, program: string, settings: Settings): ProcessPlan[] {
  const node = join(program, 'bin', 'node')
  const run = (file: string, nodeOptions: string[], ...rest: string[]) => [
    node,
    '--disable-warning=ExperimentalWarning',
    ...nodeOptions,
    join(program, 'src', 'shell', file),
    '--home',
    home.folder,
    '--port',
    String(settings.http.port),
    '--listen',
    settings.http.listen,
    ...rest,
  ]
  const { platformPort, s3Port } = addressesOf(settings.http)
  const { wrap } = serviceAccount([platformPort, s3Port, settings.http.redirectHttpPort ?? s3Port])
  const gateways = Array.from({ length: settings.http.gateways }, (_, index) => ({
    name: `gateway-${index + 1}`,
    argv: run('gateway.ts', gatewayNodeOptions, '--number', String(index + 1)),
    environment,
    ...(wrap === undefined ? {} : { wrap }),
  }))
  return [{ name: 'control', argv: run('control.ts', []), environment }, ...gateways]
}
