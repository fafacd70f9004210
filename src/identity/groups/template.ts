/** What a group, and a whole experiment, begins with. */
import type { AnyTransaction } from '../../foundation/database.ts'
import type { Origin } from '../audit.ts'
import { intersect, formatCapability } from '../decisions/capability.ts'
import type { Room } from '../room.ts'
import { ownTables, type IdentityTransaction } from '../tables.ts'
import { ceilingAbove } from './ceiling-check.ts'
import { capabilityOf } from './grants.ts'
import { membershipChange } from './memberships.ts'
import { writePolicy } from './policies.ts'
import { defaultPolicy, experimentOf, rootOf, type Policy } from './policy.ts'
import { readGroups } from './store.ts'
import { createGroup, ensureRoot } from './tree.ts'

export interface ExperimentRequest {
  experiment: string
  title: string
  /** Becomes its admin. Absent: somebody who has no account yet, and is invited. */
  ownerId?: string | undefined
  /** From then on everything in it is read-only. */
  endsAtMs?: number | undefined
  /** What one person may store: the stated figure of the request. */
  quotaBytes?: number | undefined
}

const working = ['logbook.read', 'logbook.write', 'jobs.submit', 'jobs.read', 'reconstruction.run', 'sessions.start']

/** Groups of a new experiment. */
const templateGroups = [
  { name: 'analysis', title: 'Analysis', optional: false },
  { name: 'sim', title: 'Simulation', optional: false },
  { name: 'daq', title: 'Data taking', optional: false },
  { name: 'daq/shifter', title: 'Shifters', optional: true },
  { name: 'data-manager', title: 'Data management', optional: true },
] as const

/**
 * A new experiment with its groups and their policies, in the caller's transaction: all of it or nothing.
 * @throws Fault of the logbook when there is one of that name; identity.no_such_person
 */
export async function experimentFromTemplate(
  room: Room,
  trx: AnyTransaction,
  { experiment, title, ownerId, endsAtMs, quotaBytes }: ExperimentRequest,
  origin: Origin,
): Promise<void> {
  const own = ownTables(trx)
  await room.ports.createExperiment(trx, { name: experiment, title })
  await ensureRoot(room, own, experiment, origin)
  const ceiling = {
    ...defaultPolicy.ceiling,
    limits: quotaBytes === undefined ? {} : { storageBytes: quotaBytes },
    ...(endsAtMs === undefined ? {} : { endsAtMs }),
  }
  await firstPolicy(room, own, rootOf(experiment), { ...defaultPolicy, ceiling }, origin)
  for (const { name, title: groupTitle, optional } of templateGroups) {
    const group = `${rootOf(experiment)}/${name}`
    await createGroup(room, own, { group, title: groupTitle, optional }, origin)
    await firstPolicy(room, own, group, templatePolicy(group), origin)
  }
  if (ownerId === undefined) return
  const change = { personId: ownerId, group: rootOf(experiment), role: 'exp-admin', source: 'template' } as const
  await membershipChange(room, trx, change, origin)
}

/** The policy that a new group begins with, cut to what is above it. */
export async function firstPolicy(
  room: Room,
  trx: IdentityTransaction,
  group: string,
  policy: Policy,
  origin: Origin,
): Promise<void> {
  await writePolicy(room, trx, { group, policy, version: 1, note: 'as it began' }, origin)
}

/** What a group made by hand begins with: the usual, as far as the ceiling above lets it. */
export async function usualPolicy(trx: IdentityTransaction, group: string): Promise<Policy> {
  const above = ceilingAbove(await readGroups(trx, experimentOf(group)), group)
  const usual = policyFor(group)
  if (above.capabilities === undefined) return usual
  const cut = (texts: readonly string[] | undefined) =>
    intersect(
      (texts ?? []).flatMap((text) => capabilityOf(text, { group })),
      above.capabilities!,
    ).map(formatCapability)
  const grants = Object.fromEntries(Object.entries(usual.grants).map(([role, texts]) => [role, cut(texts)]))
  return { ...usual, ceiling: { ...usual.ceiling, capabilities: cut(usual.ceiling.capabilities) }, grants }
}

/** Of the groups that the template makes. Who analyses or simulates writes wherever the experiment works together. */
function templatePolicy(group: string): Policy {
  const places = placesOf(group)
  const { raw, reco, work, reads } = places
  const [, , name, below] = group.split('/')
  if (name === 'daq') {
    const running = ['daq.write', 'runs.control', `data.create:${raw}/**`]
    const member = [...working, ...reads, ...writesTo(`${work}/daq`)]
    const ceiling = [...member, ...running, `tape.recall:${raw}/**`]
    const guest = below === undefined ? ['logbook.read', 'jobs.read'] : []
    return policyWith(ceiling, { member, operator: [...member, ...running], guest })
  }
  if (name === 'data-manager') {
    const managing = [...reads, ...writesTo(reco), ...writesTo(work), ...recalls(places), `share.create:${reco}/**`]
    return policyWith([...working, ...managing], { guest: [] })
  }
  return sharing(places, work)
}

/** Of a group made by hand: it reads what the experiment has, and writes in a folder of its name. */
function policyFor(group: string): Policy {
  const places = placesOf(group)
  return sharing(places, `${places.work}/\${group}`)
}

function sharing(places: Places, own: string): Policy {
  const { work, reads } = places
  const ceiling = [...working, ...reads, ...writesTo(own), ...recalls(places), `share.create:${work}/**`]
  const guest = ['logbook.read', 'jobs.read', 'sessions.start', ...reads.slice(1)]
  return policyWith(ceiling, { member: ceiling, guest })
}

interface Places {
  raw: string
  reco: string
  work: string
  reads: string[]
}

function placesOf(group: string): Places {
  const experiment = experimentOf(group)
  const [raw, reco, work] = [`/${experiment}-raw`, `/${experiment}-reco`, `/${experiment}-work`]
  return { raw, reco, work, reads: [raw, reco, work].map((place) => `data.read:${place}/**`) }
}

function writesTo(place: string): string[] {
  return [`data.create:${place}/**`, `data.modify:${place}/**`]
}

function recalls({ raw, reco }: Places): string[] {
  return [`tape.recall:${raw}/**`, `tape.recall:${reco}/**`]
}

function policyWith(capabilities: string[], grants: Policy['grants']): Policy {
  return { ...defaultPolicy, ceiling: { ...defaultPolicy.ceiling, capabilities }, grants }
}
