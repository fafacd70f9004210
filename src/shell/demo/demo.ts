/** The demo's experiment: *demo* with setup *lime* and series *sim*, a DAQ machine with its key, a simulated detector. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient, type Client } from '../../foundation/client.ts'
import type { Contract } from '../../foundation/contract.ts'
import { Fault } from '../../foundation/errors.ts'
import { writeFileDurable } from '../../foundation/files.ts'
import { identityContract } from '../../identity/contract.ts'
import { logbookContract } from '../../logbook/contract.ts'
import { storageContract } from '../../storage/contract.ts'
import { shellFaults } from '../errors.ts'
import { callControl, type Platform } from '../platform.ts'
import type { AdminLink } from '../up.ts'
import { runCommandLine } from './child-command.ts'

export const experiment = 'demo'
export const setup = 'lime'
export const series = 'sim'

export interface Demo {
  platform: Platform
  /** The DAQ's own folder: what the detector writes there is the original. */
  folder: string
  keyFile: string
  client<AnyContract extends Contract>(contract: AnyContract): Client<AnyContract>
}

/** Creates what is missing; a second demo on the same home finds all of it. */
export async function prepareDemo(platform: Platform): Promise<Demo> {
  const folder = join(platform.home.folder, 'daq')
  await mkdir(folder, { recursive: true, mode: 0o755 })
  const { url } = await callControl<AdminLink>(platform.home, 'POST', '/internal/admin-link')
  const anonymous = createClient(identityContract, { baseUrl: platform.addresses.publicUrl })
  const { accessToken } = await anonymous.token({ body: { code: url.split('#code=')[1]! } })
  const settings = { baseUrl: platform.addresses.publicUrl, headers: { authorization: `Bearer ${accessToken}` } }
  const demo: Demo = {
    platform,
    folder,
    keyFile: join(folder, 'daq.key'),
    client: (contract) => createClient(contract, settings),
  }
  await createExperiment(demo)
  await createKey(demo)
  return demo
}

async function createExperiment({ client }: Demo): Promise<void> {
  const body = {
    name: experiment,
    title: 'Demonstration on simulated data',
    setup,
    setupTitle: 'LIME (simulated)',
    series,
  }
  try {
    await client(logbookContract).createExperiment({ body })
  } catch (error) {
    if (!(error instanceof Fault && error.status === 409)) throw error
  }
  while ((await client(storageContract).listBuckets({ params: { experiment } })).items.length < 3) await sleep(50)
}

/** A DAQ machine's key is shown once: each demo registers what is missing and writes a new key of its own. */
async function createKey({ client, keyFile }: Demo): Promise<void> {
  const identity = client(identityContract)
  const name = 'simulated-daq'
  const known = (await identity.listClients({ query: { experiment } })).items.find((each) => each.name === name)
  const key =
    known === undefined
      ? (await identity.registerClient({ body: { experiment, name } })).accessKey
      : await identity.createAccessKey({ body: { client: known.id, label: 'demo' } })
  const { accessKeyId, secretAccessKey } = key
  await writeFileDurable(keyFile, JSON.stringify({ accessKeyId, secretAccessKey }), { mode: 0o600 })
}

/** Mean numbers per image: 55Fe, electrons and nuclear recoils of assorted energies, now and then an alpha or a muon. */
const tracks = 'iron=3,electron=1,helium=1,alpha=0.3,muon=0.3'

export interface DaqEvent {
  event: string
  [detail: string]: unknown
}

export interface TakingData {
  /** Resolves when the simulated detector has written its last run; rejects when it failed. */
  simulated: Promise<void>
  stop(): Promise<void>
}

/** Starts the agent on the DAQ folder, then the simulated detector; both are ordinary commands. */
export function takeData(
  { platform, folder, keyFile }: Demo,
  options: { runs: number; images: number; paceSeconds: number },
  onEvent: (event: DaqEvent) => void,
): TakingData {
  if (!Number.isInteger(options.runs) || options.runs < 1)
    throw shellFaults.usage('--runs takes a number of 1 or more.')
  const place = ['--experiment', experiment, '--setup', setup, '--series', series]
  const access = ['--server', platform.addresses.publicUrl, '--key-file', keyFile]
  const agent = runCommandLine(['daq', 'watch', folder, ...place, ...access], onEvent)
  const { runs, images, paceSeconds } = options
  const amounts = ['--runs', String(runs), '--images', String(images), '--pace', String(paceSeconds)]
  const detector = runCommandLine(['daq', 'simulate', '--dir', folder, ...amounts, '--tracks', tracks], onEvent)
  return {
    simulated: Promise.race([detector.done, agent.done.then(() => detector.done)]),
    async stop() {
      await detector.stop()
      await agent.stop()
    },
  }
}
