/** Campaigns: versions of recipes, their code version, and how far each is. */
import { sql } from 'kysely'
import type { Kysely, Selectable, Transaction } from 'kysely'
import type { AnyKysely, AnyTransaction } from '../foundation/database.ts'
import { appendFact } from '../foundation/facts.ts'
import { uuid7 } from '../foundation/ids.ts'
import type { Clock } from '../foundation/time.ts'
import type { Campaign, CampaignProgress, CampaignScript } from './campaign-contract.ts'
import { automaticCampaign } from './campaign-name.ts'
import { parametersMark } from './campaign-parameters.ts'
import type { ParameterOverrides } from './campaign-parameters.ts'
import { reconstructionFaults } from './errors.ts'
import type { CampaignTable, ReconstructionTables } from './tables.ts'

type Reader = Kysely<ReconstructionTables>
type CampaignRow = Selectable<CampaignTable>

/** What a version says; everything else about it is who and when. */
export interface Recipe {
  description: string
  parameters: ParameterOverrides
  preset: string | null
  /** With its `script-...` version. */
  script: (CampaignScript & { version: string }) | null
}

/** Version 1 of `main` needs no row: it is our chain with its defaults. */
function impliedMain(experiment: string): CampaignRow {
  return {
    id: `${experiment}/main`,
    experiment,
    name: automaticCampaign,
    version: 1,
    kind: 'builtin',
    description: '',
    parameters: '{}',
    preset: null,
    script: null,
    script_version: '',
    creator_id: 'platform',
    creator_name: 'cygnet',
    created_ms: 0,
  }
}

/** `program` is the version of the program's deciding code. */
export function campaignOfRow(row: CampaignRow, program: string): Campaign {
  const parameters = JSON.parse(row.parameters) as ParameterOverrides
  return {
    experiment: row.experiment,
    name: row.name,
    version: row.version,
    kind: row.kind,
    description: row.description,
    parameters,
    preset: row.preset,
    script: row.script === null ? null : (JSON.parse(row.script) as CampaignScript),
    codeVersion: row.kind === 'script' ? row.script_version : `${program}${parametersMark(parameters)}`,
    creatorId: row.creator_id,
    creatorName: row.creator_name,
    createdAtMs: row.created_ms,
  }
}

/** The newest version, or the one asked for. Throws `noSuchCampaign`. */
export async function requireCampaign(
  database: AnyKysely,
  experiment: string,
  name: string,
  program: string,
  version?: number,
): Promise<Campaign> {
  const db: Reader = database
  let query = db
    .selectFrom('reconstruction_campaign')
    .selectAll()
    .where('experiment', '=', experiment)
    .where('name', '=', name)
  if (version !== undefined) query = query.where('version', '=', version)
  const row = await query.orderBy('version', 'desc').limit(1).executeTakeFirst()
  if (row !== undefined) return campaignOfRow(row, program)
  if (name === automaticCampaign && (version ?? 1) === 1) return campaignOfRow(impliedMain(experiment), program)
  throw reconstructionFaults.noSuchCampaign(
    `Experiment '${experiment}' has no campaign '${name}'${version === undefined ? '' : ` of version ${version}`}.`,
    { hint: `Make it with: cygnet reco campaign create ${name}. The others: cygnet reco campaigns` },
  )
}

/** All versions, newest first. Throws `noSuchCampaign`. */
export async function versionsOf(
  database: AnyKysely,
  experiment: string,
  name: string,
  program: string,
): Promise<Campaign[]> {
  const db: Reader = database
  const rows = await db
    .selectFrom('reconstruction_campaign')
    .selectAll()
    .where('experiment', '=', experiment)
    .where('name', '=', name)
    .orderBy('version', 'desc')
    .execute()
  if (name === automaticCampaign) rows.push(impliedMain(experiment))
  if (rows.length === 0) return [await requireCampaign(database, experiment, name, program)]
  return rows.map((row) => campaignOfRow(row, program))
}

/** Newest version of each campaign: `main` first, then the latest made. */
export async function listCampaigns(
  database: AnyKysely,
  experiment: string,
  program: string,
  page: { limit: number; offset: number },
): Promise<Campaign[]> {
  const db: Reader = database
  const rows = await db
    .selectFrom('reconstruction_campaign as campaign')
    .selectAll()
    .where('experiment', '=', experiment)
    .where('name', '!=', automaticCampaign)
    .where('version', '=', ({ selectFrom }) =>
      selectFrom('reconstruction_campaign as other')
        .select(({ fn }) => fn.max('other.version').as('version'))
        .whereRef('other.experiment', '=', 'campaign.experiment')
        .whereRef('other.name', '=', 'campaign.name'),
    )
    .orderBy('created_ms', 'desc')
    .orderBy('id', 'desc')
    // `main` takes the first place of the first page.
    .limit(page.offset === 0 ? page.limit - 1 : page.limit)
    .offset(Math.max(0, page.offset - 1))
    .execute()
  const rest = rows.map((row) => campaignOfRow(row, program))
  return page.offset === 0 ? [await requireCampaign(database, experiment, automaticCampaign, program), ...rest] : rest
}

/**
 * Adds a campaign, or with `after` the next version of one that exists. Throws `campaignExists` when the name is taken,
 * or when somebody made a version meanwhile.
 */
export async function addCampaign(
  trx: AnyTransaction,
  given: { experiment: string; name: string; recipe: Recipe; creator: { id: string; name: string } },
  after: number | undefined,
  context: { clock: Clock; codeVersion: string },
): Promise<Campaign> {
  const db: Transaction<ReconstructionTables> = trx
  const { experiment, name, recipe, creator } = given
  if (after === undefined && name === automaticCampaign) throw exists(name)
  const { version: scriptVersion = '', ...script } = recipe.script ?? {}
  const row = await db
    .insertInto('reconstruction_campaign')
    .values({
      id: uuid7(),
      experiment,
      name,
      version: (after ?? 0) + 1,
      kind: recipe.script === null ? 'builtin' : 'script',
      description: recipe.description,
      parameters: JSON.stringify(recipe.parameters),
      preset: recipe.preset,
      script: recipe.script === null ? null : JSON.stringify(script),
      script_version: scriptVersion,
      creator_id: creator.id,
      creator_name: creator.name,
      created_ms: context.clock.nowMs(),
    })
    .onConflict((conflict) => conflict.columns(['experiment', 'name', 'version']).doNothing())
    .returningAll()
    .executeTakeFirst()
  if (row === undefined) throw exists(name)
  const data = { experiment, campaign: name, version: row.version, kind: row.kind, by: creator.name }
  await appendFact(trx, { kind: 'reconstruction.campaign-made', subject: `${experiment}/${name}`, data }, context.clock)
  return campaignOfRow(row, context.codeVersion)
}

function exists(name: string) {
  return reconstructionFaults.campaignExists(`There is a campaign '${name}' already.`, {
    hint: `Make its next version with: cygnet reco campaign change ${name}, or choose another name.`,
  })
}

const noRuns = { waiting: 0, submitted: 0, done: 0, failed: 0, cancelled: 0 }

/** Runs by state, per campaign: the newest wish for each run counts. */
export async function progressOf(
  database: AnyKysely,
  experiment: string,
  names: readonly string[],
  parallelJobs: number,
): Promise<Map<string, CampaignProgress>> {
  const db: Reader = database
  const counts = new Map(names.map((name) => [name, { ...noRuns }]))
  if (names.length === 0) return new Map()
  const rows = await db
    .selectFrom(
      db
        .selectFrom('reconstruction_task')
        .select(['campaign', 'state'])
        .select(
          sql<number>`row_number() over (partition by campaign, run_id order by updated_ms desc, id desc)`.as('place'),
        )
        .where('experiment', '=', experiment)
        .where('kind', '=', 'reconstruction')
        .where('campaign', 'in', [...names])
        .as('wish'),
    )
    .select(['campaign', 'state', ({ fn }) => fn.countAll<number>().as('runs')])
    .where('place', '=', 1)
    .groupBy(['campaign', 'state'])
    .execute()
  for (const { campaign, state, runs } of rows) counts.get(campaign)![state] = Number(runs)
  const answer = new Map<string, CampaignProgress>()
  for (const [name, count] of counts) {
    const perRunMs = await medianRunMs(db, experiment, name)
    const left = count.submitted
    const remainingMs = left === 0 || perRunMs === null ? null : Math.ceil(left / parallelJobs) * perRunMs
    answer.set(name, { ...count, perRunMs, remainingMs })
  }
  return answer
}

/** Of the latest results. */
async function medianRunMs(db: Reader, experiment: string, campaign: string): Promise<number | null> {
  const rows = await db
    .selectFrom('reconstruction_summary')
    .select('wall_ms')
    .where('experiment', '=', experiment)
    .where('campaign', '=', campaign)
    .orderBy('made_at_ms', 'desc')
    .limit(31)
    .execute()
  const sorted = rows.map(({ wall_ms }) => wall_ms).toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? null
}
