/**
 * A gateway: pages, S3, notebook traffic, and the API passed on to control. Several share the same ports. It decides
 * from the snapshot that control publishes and never asks upward.
 *
 * SIGTERM: finishes requests in hand for up to ten seconds. SIGUSR2 (a new gateway listens beside it): stops accepting
 * at once, lets requests and open websockets go on for up to ten minutes, then ends.
 */
import { chmod, rename, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { clientAddressOf } from '../foundation/http-guard.ts'
import { createLogger } from '../foundation/log.ts'
import { loadOrCreateSecret } from '../foundation/secrets.ts'
import { followSnapshot } from '../foundation/snapshot.ts'
import { systemClock } from '../foundation/time.ts'
import { sessionCookieName } from '../identity/gateway.ts'
import { createS3Handler, openStorage, storageFaults } from '../storage/gateway.ts'
import { readArguments } from './arguments.ts'
import { fileOwners } from './file-owners.ts'
import { createBodyPace } from './gateway/body-pace.ts'
import { openCertificates } from './gateway/certificates.ts'
import { createConnectionGuard } from './gateway/connection-guard.ts'
import { createContentFace } from './gateway/content-face.ts'
import { createControlFace } from './gateway/control-face.ts'
import { createDeniedObjects } from './gateway/denied-objects.ts'
import { createDraining, createTraffic, endSignal } from './gateway/draining.ts'
import { createFaces, faceByHost, pageHeaders, type FaceParts } from './gateway/faces.ts'
import { admit, createFairShare } from './gateway/fair-share.ts'
import { createFrontServer, createRedirectServer, type Face } from './gateway/front-server.ts'
import { createPermit } from './gateway/permit.ts'
import { createPrincipals } from './gateway/principals.ts'
import { createStaticFiles } from './gateway/static-files.ts'
import { createStsPort } from './gateway/sts-port.ts'
import { createTrustedProxies } from './gateway/trusted-proxies.ts'
import { watchPressure } from './gateway/pressure.ts'
import { s3Region } from './home.ts'
import { answerHealth } from './process-health.ts'
import { snapshotSchema } from './snapshot.ts'

const stopPatienceMs = 9_000
const handOverPatienceMs = 10 * 60_000

const { home, settings, addresses, number } = await readArguments(process.argv.slice(2))
const { tls, behindProxy, limits, redirectHttpPort } = settings.http
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
// A gateway that cannot read what control publishes must not take requests from one that can.
while (followed.current() === undefined) await sleep(20)

const storage = await openStorage({
  root: home.data,
  clock,
  log,
  macKey: await loadOrCreateSecret(home.secrets, 'storage-mac-key'),
  owners: fileOwners(() => followed.current()?.identity),
})

const proxies = createTrustedProxies(behindProxy?.trusted ?? [])
const guard = createConnectionGuard(limits, proxies.isTrusted)
const pace = createBodyPace(limits.stallSeconds * 1000)
const traffic = createTraffic()
const share = createFairShare(limits)
const streams = createFairShare({ ...limits, waitingPerPrincipal: 0 })
const certificates = tls && (await openCertificates([tls].flat(), log))

const denied = createDeniedObjects(home.controlSocket, log)
const s3Handler = createS3Handler({
  storage,
  region: s3Region,
  log,
  hosts: [new URL(addresses.s3Url).hostname].filter((host) => /[a-z]/i.test(host) && host !== 'localhost'),
  ...createStsPort(home.controlSocket, followed),
  permit: createPermit(followed),
  denied: (subject, request, place) => denied.record(subject, clientAddressOf(request), request.method ?? '', place),
  async admit(accessKeyId, request, response) {
    guard.prove(request.socket)
    const place = await admit(share, `key ${accessKeyId}`, response)
    if (place === 'refused') throw storageFaults.slowDown('Too many requests of this access key are under way already.')
    return place !== 'gone'
  },
})
const s3Face = { handle: s3Handler, checkContinue: s3Handler.checkContinue } satisfies Face
const hasOneListener = addresses.s3Port === addresses.platformPort
const faceParts: FaceParts = {
  addresses,
  isForSandboxes: false,
  control: createControlFace({
    controlSocket: home.controlSocket,
    principals: createPrincipals(sessionCookieName(addresses.publicUrl)),
    guard,
    traffic,
    share,
    streams,
    log,
  }),
  pages: createStaticFiles(
    join(import.meta.dirname, '..', '..', 'build', 'web'),
    pageHeaders(addresses.contentUrl, addresses.s3Url),
  ),
  content,
  s3: hasOneListener ? s3Face : undefined,
  share,
}

const servers: Server[] = []
const draining = createDraining({ servers, traffic, websockets: () => content.openSockets() })
const front = {
  guard,
  pace,
  proxies,
  traffic,
  headerSeconds: limits.headerSeconds,
  isDraining: draining.isDraining,
  log,
}
const { publicUrl } = addresses
await listen(
  createFrontServer({ ...front, face: createFaces(faceParts), certificates, publicUrl }),
  addresses.platformPort,
)
if (!hasOneListener)
  await listen(createFrontServer({ ...front, face: s3Face, certificates, publicUrl }), addresses.s3Port)
if (redirectHttpPort !== undefined && publicUrl.startsWith('https:')) {
  const faceOf = faceByHost(addresses)
  const { port } = new URL(publicUrl)
  const isOurs = (name: string) => faceOf(port === '' ? name : `${name}:${port}`) !== undefined
  await listen(createRedirectServer(publicUrl, isOurs), redirectHttpPort)
}
if (number === 1) {
  // Plain http on sockets of this machine: no TLS, and no word to browsers about it.
  const local = { ...front, publicUrl: `http://127.0.0.1:${addresses.workPorts.platform}` }
  const face = createFaces({ ...faceParts, isForSandboxes: true })
  await listenLocally(createFrontServer({ ...local, face }), 'platform.sock')
  await listenLocally(createFrontServer({ ...local, face: s3Face }), 's3.sock')
}
const closeHealth = await answerHealth(home)
const pressure = watchPressure({ guard, pace, share, streams }, log)
log.info({ url: addresses.publicUrl, s3Url: addresses.s3Url }, 'gateway serves')

if ((await endSignal()) === 'hand over') {
  log.info('hands over to its successor')
  await draining.handOver(handOverPatienceMs)
} else await draining.stop(stopPatienceMs)
await closeHealth()
await denied.close()
pressure.close()
pace.close()
certificates?.close()
await storage.close()
followed.close()
process.exit(0)

async function listen(server: Server, port: number): Promise<void> {
  servers.push(server)
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    const host = addresses.listen === '*' ? {} : { host: addresses.listen }
    server.listen({ port, ...host, reusePort: true }, done)
  })
}

/**
 * Sandboxes have no network: they reach the platform and S3 by these sockets, and every request still needs its key.
 * The name is taken over from an earlier gateway in one step, so that there is always somebody behind it.
 */
async function listenLocally(server: Server, name: string): Promise<void> {
  const path = join(home.gatewaySockets, name)
  const own = `${path}.${process.pid}`
  await rm(own, { force: true })
  servers.push(server)
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen({ path: own }, done)
  })
  await chmod(own, 0o666)
  await rename(own, path)
}
