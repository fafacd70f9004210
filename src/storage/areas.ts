/** How people name data on the command line: `raw/lime/sim/` (an area of the experiment) or `demo-raw/lime/sim/` (a bucket). */
import type { CommandContext } from '../foundation/command-line.ts'
import { identityContract } from '../identity/contract.ts'
import { bucketNameOf } from './bucket-name.ts'
import { storageFaults } from './errors.ts'
import type { Purpose } from './model.ts'

export interface DataAddress {
  bucket: string
  /** Key or prefix; '' for the whole bucket. */
  key: string
}

/** Throws 'storage.invalid_argument' if nobody can say which experiment is meant. */
export async function addressOfData(
  text: string,
  experiment: string | undefined,
  context: CommandContext,
): Promise<DataAddress> {
  const slash = text.indexOf('/')
  const head = slash === -1 ? text : text.slice(0, slash)
  const key = slash === -1 ? '' : text.slice(slash + 1)
  if (head === '')
    throw storageFaults.invalidArgument(`'${text}' names no area.`, {
      hint: 'Begin with raw/, reco/, work/ or a bucket.',
    })
  if (!['raw', 'reco', 'work'].includes(head)) return { bucket: head, key }
  return { bucket: bucketNameOf(await experimentOf(experiment, context), head as Purpose), key }
}

/** The experiment given, or the only one that the caller has a role in. */
export async function experimentOf(given: string | undefined, context: CommandContext): Promise<string> {
  if (given !== undefined) return given
  const { roles } = await context.client(identityContract).me()
  const names = [...new Set(roles.map((role) => role.experiment))]
  if (names.length === 1) return names[0]!
  throw storageFaults.invalidArgument(
    names.length === 0 ? 'You belong to no experiment.' : `You belong to ${names.join(', ')}.`,
    {
      hint: 'Say which experiment: --experiment NAME.',
    },
  )
}
