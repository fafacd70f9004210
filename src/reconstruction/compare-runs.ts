/** Two campaigns side by side over their runs, from the summary rows alone. */
import type { Kysely } from 'kysely'
import type { AnyKysely } from '../foundation/database.ts'
import type { ComparedRun } from './campaign-contract.ts'
import type { ReconstructionTables } from './tables.ts'

/** Runs that both have, in run order, and how many only one of them has. */
export async function compareRuns(
  database: AnyKysely,
  experiment: string,
  [first, second]: readonly [string, string],
  page: { series: string | undefined; limit: number; offset: number },
): Promise<{ items: ComparedRun[]; nextCursor: string | null; onlyFirst: number; onlySecond: number }> {
  const db: Kysely<ReconstructionTables> = database
  const ofCampaign = (campaign: string) => {
    const query = db
      .selectFrom('reconstruction_summary')
      .selectAll()
      .where('experiment', '=', experiment)
      .where('campaign', '=', campaign)
    return page.series === undefined ? query : query.where('series', '=', page.series)
  }
  const count = async (campaign: string) => {
    const { runs } = await db
      .selectFrom(ofCampaign(campaign).as('one'))
      .select(({ fn }) => fn.countAll<number>().as('runs'))
      .executeTakeFirstOrThrow()
    return Number(runs)
  }
  const both = db
    .selectFrom(ofCampaign(first).as('a'))
    .innerJoin(ofCampaign(second).as('b'), (join) => join.onRef('a.run_id', '=', 'b.run_id'))
  const rows = await both
    .select(['a.series', 'a.number'])
    .select([
      'a.code_version as a_code',
      'a.images as a_images',
      'a.clusters as a_clusters',
      'a.selected_clusters as a_selected',
      'a.selected_light_counts as a_light',
      'a.efficiency as a_efficiency',
      'a.purity as a_purity',
      'a.wall_ms as a_wall',
      'b.code_version as b_code',
      'b.images as b_images',
      'b.clusters as b_clusters',
      'b.selected_clusters as b_selected',
      'b.selected_light_counts as b_light',
      'b.efficiency as b_efficiency',
      'b.purity as b_purity',
      'b.wall_ms as b_wall',
    ])
    .orderBy('a.series')
    .orderBy('a.number')
    .limit(page.limit)
    .offset(page.offset)
    .execute()
  const inBoth = await both.select(({ fn }) => fn.countAll<number>().as('runs')).executeTakeFirstOrThrow()
  return {
    items: rows.map((row) => ({
      run: `${row.series}:${row.number}`,
      series: row.series,
      number: row.number,
      first: {
        codeVersion: row.a_code,
        images: row.a_images,
        clusters: row.a_clusters,
        selectedClusters: row.a_selected,
        selectedLightCounts: row.a_light,
        efficiency: row.a_efficiency,
        purity: row.a_purity,
        wallMs: row.a_wall,
      },
      second: {
        codeVersion: row.b_code,
        images: row.b_images,
        clusters: row.b_clusters,
        selectedClusters: row.b_selected,
        selectedLightCounts: row.b_light,
        efficiency: row.b_efficiency,
        purity: row.b_purity,
        wallMs: row.b_wall,
      },
    })),
    nextCursor: rows.length === page.limit ? String(page.offset + rows.length) : null,
    onlyFirst: (await count(first)) - Number(inBoth.runs),
    onlySecond: (await count(second)) - Number(inBoth.runs),
  }
}
