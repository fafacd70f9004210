/** Two campaigns over the same runs: what changed, and on which clusters do they disagree? */
import { NativeSelect } from '@mantine/core'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import {
  Answer,
  Empty,
  PageEnd,
  PageHead,
  Panel,
  Problem,
  Waiting,
  apiOf,
  formatCount,
  significant,
  useAnswer,
  usePages,
  useQueryState,
  useTitle,
} from '../../../foundation/browser.tsx'
import type { PageProps } from '../../../foundation/browser.tsx'
import { LinePlot } from '../../../foundation/browser-plot.tsx'
import { reconstructionContract } from '../../contract.ts'
import type { ComparedRun } from '../../contract.ts'
import { t } from '../messages.ts'
import { RunComparison } from './run-comparison.tsx'

export default function ComparePage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  const first = props.params['campaign'] ?? ''
  useTitle(t('compare.title'))
  const state = useQueryState()
  const campaigns = useAnswer(['reconstruction', 'campaigns', experiment, 'names'], (signal) =>
    apiOf(reconstructionContract).listCampaigns({ params: { experiment }, query: { limit: 1000 } }, { signal }),
  )
  return (
    <>
      <PageHead
        title={t('compare.title')}
        aside={<Link href={`/e/${experiment}/campaigns/${first}`}>{t('compare.back', { name: first })}</Link>}
      />
      <Answer to={campaigns}>
        {({ items }) => {
          const others = items.map(({ name }) => name).filter((name) => name !== first)
          const second = others.includes(state.get('with')) ? state.get('with') : others[0]
          if (second === undefined) {
            return (
              <Empty title={t('compare.alone')}>
                <p>{t('compare.aloneHint')}</p>
              </Empty>
            )
          }
          const run = state.get('run')
          return (
            <div className="cy-stack">
              <div className="cy-filters">
                <NativeSelect
                  size="xs"
                  label={t('compare.with', { name: first })}
                  value={second}
                  onChange={(event) => state.set({ with: event.currentTarget.value, run: undefined })}
                  data={others}
                />
              </div>
              {run !== '' && (
                <RunComparison
                  experiment={experiment}
                  first={first}
                  second={second}
                  run={run}
                  onClose={() => state.set({ run: undefined })}
                />
              )}
              <Runs experiment={experiment} first={first} second={second} onPick={(one) => state.set({ run: one })} />
            </div>
          )
        }}
      </Answer>
    </>
  )
}

function Runs(props: { experiment: string; first: string; second: string; onPick: (run: string) => void }): ReactNode {
  const { experiment, first, second } = props
  const params = { experiment, campaign: first, other: second }
  const runs = usePages(['reconstruction', 'compare', params], (cursor, signal) =>
    apiOf(reconstructionContract).compareCampaigns(
      { params, query: { limit: 200, ...(cursor === undefined ? {} : { cursor }) } },
      { signal },
    ),
  )
  if (runs.waiting) return <Waiting rows={6} height={24} />
  if (runs.error !== null && runs.items.length === 0) return <Problem error={runs.error} onRetry={runs.retry} />
  if (runs.items.length === 0) {
    return (
      <Empty title={t('compare.none')}>
        <p>{t('compare.noneHint', { first, second })}</p>
      </Empty>
    )
  }
  return (
    <>
      <Panel title={t('compare.perRun')}>
        <RunPlots runs={runs.items} first={first} second={second} onPick={props.onPick} />
      </Panel>
      <RunTable runs={runs.items} first={first} second={second} onPick={props.onPick} />
      <PageEnd of={runs} />
    </>
  )
}

function RunPlots(props: {
  runs: ComparedRun[]
  first: string
  second: string
  onPick: (run: string) => void
}): ReactNode {
  const { runs, first, second } = props
  const pick = (index: number): void => {
    const run = runs[index]?.run
    if (run !== undefined) props.onPick(run)
  }
  const x = runs.map(({ number }) => number)
  const ratio = runs.map((run) =>
    run.first.selectedLightCounts > 0 ? run.second.selectedLightCounts / run.first.selectedLightCounts : null,
  )
  return (
    <div className="cy-grid cy-grid-wide">
      <LinePlot
        title={t('compare.selectedPlot')}
        x={x}
        xLabel={t('campaigns.run')}
        yFromZero
        onPick={pick}
        lines={[
          { label: first, values: runs.map((run) => run.first.selectedClusters) },
          { label: second, values: runs.map((run) => run.second.selectedClusters) },
        ]}
      />
      <LinePlot
        title={t('compare.lightRatio', { first, second })}
        x={x}
        xLabel={t('campaigns.run')}
        onPick={pick}
        lines={[{ label: t('compare.lightRatio', { first, second }), values: ratio }]}
      />
    </div>
  )
}

function RunTable(props: {
  runs: ComparedRun[]
  first: string
  second: string
  onPick: (run: string) => void
}): ReactNode {
  const hasTruth = props.runs.some(({ first, second }) => first.efficiency !== null || second.efficiency !== null)
  const quantities = [t('tracks.clusters'), t('tracks.selected'), t('fact.light')]
  if (hasTruth) quantities.push(t('trend.efficiency'), t('trend.purity'))
  return (
    <div className="cy-table-scroll">
      <table className="cy-table">
        <thead>
          <tr>
            <th scope="col">{t('campaigns.run')}</th>
            {quantities.flatMap((quantity) =>
              [props.first, props.second].map((campaign) => (
                <th scope="col" className="cy-right" key={`${quantity} ${campaign}`}>
                  {quantity}
                  <br />
                  <span className="cy-quiet">{campaign}</span>
                </th>
              )),
            )}
          </tr>
        </thead>
        <tbody>
          {props.runs.map((run) => (
            <tr key={run.run}>
              <td className="cy-key">
                <button type="button" className="cy-link" onClick={() => props.onPick(run.run)}>
                  {run.run}
                </button>
              </td>
              {rowValues(run, hasTruth).map(([quantity, ...values]) =>
                values.map((value, index) => (
                  <td className="cy-right" key={`${quantity}/${index}`}>
                    {value}
                  </td>
                )),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** Name of a quantity and its value in both campaigns, in the order of the heads. */
function rowValues({ first, second }: ComparedRun, hasTruth: boolean): Array<[string, string, string]> {
  const both = (name: string, value: (result: ComparedRun['first']) => string): [string, string, string] => [
    name,
    value(first),
    value(second),
  ]
  const values = [
    both('clusters', (result) => formatCount(result.clusters)),
    both('selected', (result) => formatCount(result.selectedClusters)),
    both('light', (result) => significant(result.selectedLightCounts, 5)),
  ]
  if (!hasTruth) return values
  return [
    ...values,
    both('efficiency', (result) => share(result.efficiency)),
    both('purity', (result) => share(result.purity)),
  ]
}

function share(value: number | null): string {
  return value === null ? '–' : `${(100 * value).toFixed(1)} %`
}
