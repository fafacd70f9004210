/** One report: what holds, what fails, and each section with its plots, tables and comparisons. */
import type { ReactNode } from 'react'
import { Count, Figure, Moment, Panel, StateMark } from '../../../foundation/browser.tsx'
import type { Tone } from '../../../foundation/browser.tsx'
import { cellText, columnTitle, oursText, verdictText } from '../../contract.ts'
import type {
  PublishedComparison,
  ReportSection,
  ReportTable,
  Requirement,
  Study,
  StudyReport,
} from '../../contract.ts'
import { t } from '../messages.ts'
import { PlotOfReport } from './report-plot.tsx'

const verdictTone: Record<PublishedComparison['verdict'], Tone> = {
  agrees: 'verified',
  differs: 'warning',
  'not-comparable': 'quiet',
}

export function ReportView(props: { study: Study; report: StudyReport }): ReactNode {
  const { report } = props
  const { headline } = props.study
  return (
    <div className="cy-stack">
      <Panel
        title={report.title}
        aside={
          <>
            <Moment atMs={report.madeAtMs} />
            <span>{t('validation.made', { code: report.codeVersion, program: report.programVersion })}</span>
          </>
        }
      >
        <div className="cy-figures">
          <Figure value={<Count of={report.images} />} label={t('validation.imagesLabel')} />
          {headline !== null && (
            <>
              <Figure
                value={
                  <StateMark tone={headline.failing > 0 ? 'alarm' : 'verified'}>
                    {t('validation.requirements', {
                      held: headline.requirements - headline.failing,
                      all: headline.requirements,
                    })}
                  </StateMark>
                }
                label={t('validation.requirementsLabel')}
              />
              <Figure value={t('validation.published', { ...headline })} label={t('validation.publishedLabel')} />
            </>
          )}
          <Figure
            value={t('validation.minutes', { minutes: (report.wallMs / 60_000).toFixed(1) })}
            label={t('validation.tookLabel')}
          />
        </div>
        <nav aria-label={t('validation.contents')} className="cy-row cy-table-inset">
          {report.sections.map((section) => (
            <a key={section.id} href={`#${section.id}`}>
              <StateMark tone={isFailing(section) ? 'alarm' : 'verified'}>
                {`${section.number}. ${section.title}`}
              </StateMark>
            </a>
          ))}
        </nav>
        <details className="cy-plot-table">
          <summary>{t('validation.notes')}</summary>
          {report.notes.map((note) => (
            <p key={note}>{note}</p>
          ))}
          <p>
            {Object.entries(report.machine)
              .map(([name, value]) => `${name}: ${value}`)
              .join('; ')}
          </p>
        </details>
      </Panel>
      {report.sections.map((section) => (
        <Section key={section.id} of={section} />
      ))}
      <Panel title={t('validation.samples')}>
        <div className="cy-table-scroll">
          <table className="cy-table">
            <thead>
              <tr>
                <th scope="col">{t('validation.sample')}</th>
                <th scope="col">{t('validation.purpose')}</th>
                <th scope="col" className="cy-right">
                  {t('validation.seed')}
                </th>
                <th scope="col" className="cy-right">
                  {t('validation.images')}
                </th>
                <th scope="col">{t('validation.frame')}</th>
                <th scope="col">{t('validation.content')}</th>
              </tr>
            </thead>
            <tbody>
              {report.samples.map((sample, index) => (
                <tr key={`${sample.name} ${index}`}>
                  <td className="cy-key">{sample.name}</td>
                  <td>{sample.purpose}</td>
                  <td className="cy-right">{sample.seed}</td>
                  <td className="cy-right">
                    <Count of={sample.images} />
                  </td>
                  <td>{sample.frame}</td>
                  <td>{sample.content}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Panel>
    </div>
  )
}

const isFailing = (section: ReportSection): boolean =>
  section.problem !== null || section.requirements.some(({ holds }) => !holds)

function Section(props: { of: ReportSection }): ReactNode {
  const section = props.of
  return (
    <Panel title={`${section.number}. ${section.title}`} id={section.id}>
      <div className="cy-stack">
        {section.problem !== null && (
          <StateMark tone="alarm">{t('validation.sectionFailed', { problem: section.problem })}</StateMark>
        )}
        {section.requirements.map((one) => (
          <RequirementLine key={one.statement} of={one} />
        ))}
        {section.paragraphs.map((paragraph) => (
          <p key={paragraph} className="cy-note-text">
            {paragraph}
          </p>
        ))}
        <div className="cy-grid cy-grid-wide">
          {section.plots.map((plot) => (
            <PlotOfReport key={plot.title} plot={plot} />
          ))}
        </div>
        {section.tables.map((table) => (
          <TableOfReport key={table.title} of={table} />
        ))}
        {section.comparisons.length > 0 && <Comparisons of={section.comparisons} />}
        {section.samples.length > 0 && (
          <details className="cy-plot-table">
            <summary>{t('validation.sampleList')}</summary>
            {section.samples.map((sample) => (
              <p key={sample}>{sample}</p>
            ))}
          </details>
        )}
      </div>
    </Panel>
  )
}

function RequirementLine(props: { of: Requirement }): ReactNode {
  const { holds, statement, found } = props.of
  return (
    <p>
      <StateMark tone={holds ? 'verified' : 'alarm'}>{holds ? t('validation.holds') : t('validation.fails')}</StateMark>{' '}
      {statement}: <span className="cy-quiet">{found}</span>
    </p>
  )
}

function TableOfReport(props: { of: ReportTable }): ReactNode {
  const { title, columns, rows, note } = props.of
  const isNumber = columns.map((_, index) => rows.every((row) => typeof row[index] !== 'string'))
  return (
    <div>
      <h3>{title}</h3>
      <div className="cy-table-scroll" tabIndex={0} role="region" aria-label={title}>
        <table className="cy-table">
          <thead>
            <tr>
              {columns.map((column, index) => (
                <th key={index} scope="col" className={isNumber[index] === true ? 'cy-right' : undefined}>
                  {columnTitle(column)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, line) => (
              <tr key={line}>
                {row.map((cell, index) => (
                  <td key={index} className={isNumber[index] === true ? 'cy-right' : undefined}>
                    {cellText(cell, columns[index]?.digits)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {note !== undefined && <p className="cy-quiet cy-small">{note}</p>}
    </div>
  )
}

function Comparisons(props: { of: PublishedComparison[] }): ReactNode {
  return (
    <div>
      <h3>{t('validation.compared')}</h3>
      <div className="cy-table-scroll" tabIndex={0} role="region" aria-label={t('validation.compared')}>
        <table className="cy-table">
          <thead>
            <tr>
              <th scope="col">{t('validation.quantity')}</th>
              <th scope="col" className="cy-right">
                {t('validation.ours')}
              </th>
              <th scope="col">{t('validation.theirs')}</th>
              <th scope="col">{t('validation.source')}</th>
              <th scope="col">{t('validation.verdict')}</th>
              <th scope="col">{t('validation.difference')}</th>
            </tr>
          </thead>
          <tbody>
            {props.of.map((one) => (
              <tr key={one.quantity}>
                <td>{one.quantity}</td>
                <td className="cy-right">{oursText(one)}</td>
                <td>{one.published.text}</td>
                <td>{`${one.source} [${one.tag}]`}</td>
                <td>
                  <StateMark tone={verdictTone[one.verdict]}>{verdictText(one)}</StateMark>
                </td>
                <td className="cy-small cy-quiet">{one.difference}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  )
}
