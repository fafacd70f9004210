/**
 * A gateway: pages, S3, notebook traffic, and the API passed on to control. Several share the same ports. It decides
 * from the snapshot that control publishes and never asks upward.
 */
import { chmod, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { createLogger } from '../foundation/log.ts'
import { loadOrCreateSecret } from '../foundation/secrets.ts'
import { followSnapshot } from '../foundation/snapshot.ts'
import { systemClock } from '../foundation/time.ts'
import { subjectOfAccessKey } from '../identity/gateway.ts'
import { createS3Handler, createS3Server, openStorage } from '../storage/gateway.ts'
import { readArguments, stopSignal } from './arguments.ts'
import { createControlProxy } from './gateway/control-proxy.ts'
import { createContentFace } from './gateway/content-face.ts'
import { createPlatformServer, pageHeaders } from './gateway/platform-server.ts'
import { createPermit } from './gateway/permit.ts'
import { createStaticFiles } from './gateway/static-files.ts'
import { s3Region } from './home.ts'
import { snapshotSchema } from './snapshot.ts'

const { home, addresses, number } = await readArguments(process.argv.slice(2))
const log = createLogger({ process: `gateway-${number}` })
const clock = systemClock()
/** People who lost a right lose their open notebooks at the next snapshot; the face that knows them comes below. */
let recheck = () => {}
const followed = await followSnapshot(home.snapshot, snapshotSchema, {
  onChange: () => recheck(),
  onError: (error) => log.error({ err: error }, 'the snapshot cannot be read; the last good one stays'),
})
const content = createContentFace({
  snapshot: () => followed.current(),
  addresses,
  controlSocket: home.controlSocket,
  log,
})
recheck = () => content.recheck()

const storage = await openStorage({
  root: home.data,
  clock,
  log,
  macKey: await loadOrCreateSecret(home.secrets, 'storage-mac-key'),
})
const control = createControlProxy(home.controlSocket, log)
const platformOptions = {
  publicUrl: addresses.publicUrl,
  contentUrl: addresses.contentUrl,
  control,
  pages: createStaticFiles(
    join(import.meta.dirname, '..', '..', 'build', 'web'),
    pageHeaders(addresses.contentUrl, addresses.s3Url),
  ),
  content,
  log,
}
const s3Handler = createS3Handler({
  storage,
  region: s3Region,
  log,
  accessKey(id: string) {
    const snapshot = followed.current()
    return snapshot && subjectOfAccessKey(snapshot.identity, id)
  },
  permit: createPermit(followed),
})

const servers: Server[] = []
await listen(createPlatformServer(platformOptions), addresses.platformPort)
await listen(createS3Server(s3Handler), addresses.s3Port)
if (number === 1) {
  await listenLocally(createPlatformServer(platformOptions), 'platform.sock')
  await listenLocally(createS3Server(s3Handler), 's3.sock')
}
log.info({ url: addresses.publicUrl, s3Url: addresses.s3Url }, 'gateway serves')
await stopSignal()
await Promise.all(servers.map((server) => new Promise((done) => (server.close(done), server.closeAllConnections()))))
await storage.close()
followed.close()
process.exit(0)

async function listen(server: Server, port: number): Promise<void> {
  servers.push(server)
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen({ port, host: '127.0.0.1', reusePort: true }, done)
  })
}

/** Sandboxes have no network: they reach the platform and S3 by these sockets, and every request still needs its key. */
async function listenLocally(server: Server, name: string): Promise<void> {
  const path = join(home.gatewaySockets, name)
  await rm(path, { force: true })
  servers.push(server)
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen({ path }, done)
  })
  await chmod(path, 0o666)
}
