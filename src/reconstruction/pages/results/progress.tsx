/** How much of the selection has been read, and which runs have nothing to read, with the reason. */
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { StateMark, formatCount } from '../../../foundation/browser.tsx'
import type { View } from '../../contract.ts'
import { t } from '../messages.ts'

type Scanned = View['scanned']

export function Progress(props: { view: View; busy: boolean }): ReactNode {
  const { runsDone, runsOf, images } = props.view.scanned
  const facts = { done: formatCount(runsDone), all: formatCount(runsOf) }
  if (!props.busy && runsDone === runsOf)
    return <span role="status">{t('results.allRead', { runs: runsOf, count: images })}</span>
  return (
    <StateMark tone="info">
      <span role="status">{t('results.reading', facts)}</span>
    </StateMark>
  )
}

/** Runs with the same reason stand together. */
export function Missing(props: { experiment: string; scanned: Scanned }): ReactNode {
  const { missing, missingRuns } = props.scanned
  // "no pedestal before run 7" and "… before run 8" are one reason.
  const reasons = Map.groupBy(missing, ({ run, reason }) =>
    reason.replaceAll(new RegExp(`\\brun ${run.split(':')[1]}\\b`, 'g'), t('results.thisRun')),
  )
  return (
    <>
      <dl className="cy-missing">
        {[...reasons].map(([reason, runs]) => (
          <div key={reason}>
            <dt>{reason}</dt>
            <dd>
              <RunLinks experiment={props.experiment} runs={runs.map(({ run }) => run)} />
            </dd>
          </div>
        ))}
      </dl>
      {missingRuns > missing.length && (
        <p className="cy-quiet cy-small">{t('results.missingMore', { count: missingRuns - missing.length })}</p>
      )}
    </>
  )
}

const shownAtFirst = 12

function RunLinks(props: { experiment: string; runs: string[] }): ReactNode {
  const [all, setAll] = useState(false)
  const shown = all ? props.runs : props.runs.slice(0, shownAtFirst)
  return (
    <span className="cy-row">
      {shown.map((run) => (
        <Link key={run} href={`/e/${props.experiment}/runs/${run.replace(':', '/')}`}>
          {run}
        </Link>
      ))}
      {shown.length < props.runs.length && (
        <button type="button" className="cy-link" onClick={() => setAll(true)}>
          {t('results.andMore', { count: props.runs.length - shown.length })}
        </button>
      )}
    </span>
  )
}
