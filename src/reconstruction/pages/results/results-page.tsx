/** What does the reconstruction say, for these runs and cuts? Everything that is shown is in the address. */
import { Button } from '@mantine/core'
import type { ReactNode } from 'react'
import {
  Answer,
  CopyButton,
  Empty,
  Lazily,
  PageHead,
  Panel,
  apiOf,
  useAnswer,
  useQueryState,
  useSlots,
  useTitle,
} from '../../../foundation/browser.tsx'
import type { PageProps } from '../../../foundation/browser.tsx'
import { logbookContract } from '../../../logbook/contract.ts'
import {
  cutOfRange,
  isReadable,
  parseExpression,
  parseRunRange,
  pythonOfResults,
  queryOfResults,
  resultsOf,
  sources,
  withCut,
} from '../../contract.ts'
import type { ResultsState, View } from '../../contract.ts'
import { t } from '../messages.ts'
import { CutsBox } from './cuts-box.tsx'
import { ExportLinks } from './export-links.tsx'
import { PlanePlot } from './plane.tsx'
import { Missing, Progress } from './progress.tsx'
import { SavedSelections } from './saved-selections.tsx'
import { CompareFields, Presets, SelectionFields } from './selection-fields.tsx'
import type { Shown } from './selection-fields.tsx'
import { RangeFields, SpectrumFields } from './spectrum-fields.tsx'
import { Spectrum } from './spectrum.tsx'
import { Calibrations } from './summary-trends.tsx'
import { Trend, TrendControls } from './trend.tsx'
import { useView } from './use-results.ts'

export default function ResultsPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('results.title'))
  const address = useQueryState()
  const state = resultsOf(address.get)
  const set = (changes: Partial<ResultsState>): void => address.set(queryOfResults({ ...state, ...changes }))
  const about = useAnswer(['logbook', 'experiment', experiment], (signal) =>
    apiOf(logbookContract).showExperiment({ params: { experiment } }, { signal }),
  )
  return (
    <Answer to={about}>
      {({ series }) => {
        const range = parseRunRange(state.sel === '' ? (series[0]?.name ?? '') : state.sel)
        if (range === undefined) return <Empty title={t('results.noSeries')} />
        const shown = { experiment, state, set, range, series: series.map(({ name }) => name) }
        return <Results key={experiment} {...shown} />
      }}
    </Answer>
  )
}

function Results(props: Shown): ReactNode {
  const { experiment, state, set, range } = props
  const answer = useView(experiment, state, range)
  const source = sources[state.source]
  const view = answer.data
  const busy = answer.isPlaceholderData || (answer.isFetching && view !== undefined)
  const sel = state.sel === '' ? range.series : state.sel
  const caption = [
    `${experiment} ${sel}`,
    state.campaign,
    state.cuts === '' ? t('results.noCuts') : state.cuts,
    ...(view === undefined ? [] : [t('results.runsRead', { count: view.scanned.runsDone })]),
    new Date().toISOString().slice(0, 16) + 'Z',
  ].join(' · ')
  const x = state.x === '' ? (source?.first ?? '') : state.x
  const addRange = (low: number, high: number): void =>
    set({ cuts: withCut(state.cuts, cutOfRange(x, low, high)), low: undefined, high: undefined })
  const histogram = view?.histogram
  const actions = useSlots('resultActions')
  const shownState = histogram === undefined ? state : { ...state, low: histogram.low, high: histogram.high }
  return (
    <>
      <PageHead title={t('results.title')}>
        {isReadable(state) &&
          actions.map(({ id, load }) => (
            <Lazily key={id} load={load} with={{ experiment, address: addressOf({ ...shownState, sel }) }} waiting="" />
          ))}
        <CopyButton
          label={t('event.copyPython')}
          text={() =>
            pythonOfResults(
              experiment,
              sel,
              state,
              histogram === undefined
                ? undefined
                : { low: histogram.low, high: histogram.high, bins: histogram.counts.length },
            )
          }
        />
        <CopyButton label={t('event.copyLink')} text={() => window.location.href} />
        <ExportLinks {...props} />
      </PageHead>
      <div className="cy-results">
        <div className="cy-stack">
          <Panel title={t('results.selection')}>
            <SelectionFields {...props} />
            <CutsBox
              label={t('results.cuts')}
              source={state.source}
              cuts={state.cuts}
              flow={answer.isPlaceholderData ? undefined : view?.flow}
              onChange={(cuts) => set({ cuts })}
            />
            {state.source === 'cluster' && <Presets state={state} set={set} />}
          </Panel>
          <Panel title={t('results.compare')}>
            <CompareFields {...props} />
          </Panel>
          <Panel title={t('results.saved')}>
            <SavedSelections
              experiment={experiment}
              address={addressOf({ ...state, sel })}
              readable={isReadable(state)}
            />
          </Panel>
        </div>
        <div className="cy-stack">
          <Panel title={t('results.spectrum')} aside={view !== undefined && <Progress view={view} busy={busy} />}>
            <SpectrumFields state={state} set={set} />
            {source === undefined || !isReadable(state) ? (
              <Empty title={source === undefined ? t('results.noTable') : t('results.unreadable')} />
            ) : (
              <Answer to={answer}>
                {(shown) => (
                  <Said view={shown} state={state} set={set} busy={answer.isPlaceholderData}>
                    <Spectrum
                      view={shown}
                      log={state.log}
                      busy={answer.isPlaceholderData}
                      caption={caption}
                      onRange={addRange}
                    />
                    <RangeFields quantity={x} onRange={addRange} />
                  </Said>
                )}
              </Answer>
            )}
          </Panel>
          {view !== undefined && state.y !== '' && (view.plane !== null || view.sample !== null) && (
            <Panel title={t('results.plane')}>
              <PlanePlot
                view={view}
                busy={answer.isPlaceholderData}
                caption={caption}
                axes={{ x, y: state.y, xUnit: unitOf(state, x), yUnit: unitOf(state, state.y) }}
                eventAddress={(run, event) => `/e/${experiment}/runs/${range.series}/${run}/events/${event}`}
                onBox={(box) =>
                  set({
                    cuts: withCut(withCut(state.cuts, cutOfRange(x, ...box.x)), cutOfRange(state.y, ...box.y)),
                  })
                }
              />
            </Panel>
          )}
          <Panel title={t('results.trend')}>
            <TrendControls state={state} set={set} />
            <Trend experiment={experiment} state={state} range={range} caption={caption} />
          </Panel>
          {state.trend === 'summary' && (
            <Panel title={t('trend.calibrations')}>
              <Calibrations experiment={experiment} />
            </Panel>
          )}
          {view !== undefined && view.scanned.missingRuns > 0 && (
            <Panel title={t('results.missing', { count: view.scanned.missingRuns })}>
              <Missing experiment={experiment} scanned={view.scanned} />
            </Panel>
          )}
        </div>
      </div>
    </>
  )
}

/** What stands behind `?`. */
function addressOf(state: ResultsState): string {
  const known = Object.entries(queryOfResults(state)).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  )
  return new URLSearchParams(known).toString()
}

function unitOf(state: ResultsState, text: string): string {
  const quantities = sources[state.source]?.quantities ?? []
  const { node } = parseExpression(text, quantities, 'number')
  return node?.kind === 'quantity' ? (quantities.find(({ name }) => name === node.name)?.unit ?? '') : ''
}

/** The sentence about the selection; where nothing passes it stands instead of an empty plot. */
function Said(props: {
  view: View
  state: ResultsState
  set: Shown['set']
  /** It is about the selection before; the answer to this one is on its way. */
  busy: boolean
  children: ReactNode
}): ReactNode {
  const { flow, scanned } = props.view
  if (scanned.passed > 0)
    return (
      <>
        <p role="status" aria-busy={props.busy} className={props.busy ? 'cy-quiet' : ''}>
          {flow.says}
        </p>
        {props.children}
      </>
    )
  return (
    <Empty title={flow.says}>
      {scanned.runsOf === 0 && <p>{t('results.noRuns')}</p>}
      {flow.cuts.length > 0 && (
        <Button size="compact-sm" variant="default" onClick={() => props.set({ cuts: '' })}>
          {t('results.clearCuts')}
        </Button>
      )}
    </Empty>
  )
}
