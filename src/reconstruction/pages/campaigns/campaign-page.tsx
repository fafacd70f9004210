/** One campaign: what it does, how far it is, what failed and why. */
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import {
  Answer,
  Facts,
  Moment,
  PageHead,
  Panel,
  apiOf,
  formatBytes,
  formatDuration,
  useAnswer,
  useTitle,
} from '../../../foundation/browser.tsx'
import type { PageProps } from '../../../foundation/browser.tsx'
import { automaticCampaign, reconstructionContract } from '../../contract.ts'
import type { Campaign, CampaignScript } from '../../contract.ts'
import { t } from '../messages.ts'
import { CampaignRuns } from './campaign-runs.tsx'
import { ProgressFigures, RecipeWords } from './recipe-words.tsx'
import { CampaignActions } from './start-runs.tsx'

export default function CampaignPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  const name = props.params['campaign'] ?? ''
  useTitle(t('campaigns.one', { name }))
  const shown = useAnswer(['reconstruction', 'campaign', experiment, name], (signal) =>
    apiOf(reconstructionContract).showCampaign({ params: { experiment, campaign: name } }, { signal }),
  )
  return (
    <>
      <PageHead
        title={t('campaigns.one', { name })}
        aside={<Link href={`/e/${experiment}/campaigns`}>{t('campaigns.all')}</Link>}
      >
        <Link
          href={`/e/${experiment}/campaigns/${automaticCampaign}/compare${name === automaticCampaign ? '' : `?with=${name}`}`}
        >
          {t('compare.open')}
        </Link>
      </PageHead>
      <Answer to={shown}>
        {({ campaign, versions, progress }) => (
          <div className="cy-stack">
            {campaign.description !== '' && <p className="cy-note-text">{campaign.description}</p>}
            <Panel title={t('campaigns.progress')}>
              <div className="cy-stack">
                <ProgressFigures of={progress} />
                <CampaignActions experiment={experiment} campaign={campaign} progress={progress} />
              </div>
            </Panel>
            <CampaignRuns experiment={experiment} campaign={campaign} failed={progress.failed} />
            <Panel title={t('campaigns.recipe')}>
              <Recipe campaign={campaign} />
            </Panel>
            {versions.length > 1 && (
              <Panel title={t('campaigns.versions')}>
                <Versions of={versions} />
              </Panel>
            )}
          </div>
        )}
      </Answer>
    </>
  )
}

function Recipe(props: { campaign: Campaign }): ReactNode {
  const { campaign } = props
  return (
    <div className="cy-stack">
      <Facts
        items={[
          [t('campaigns.kind'), t(`campaigns.kind.${campaign.kind}`)],
          [t('campaigns.version'), String(campaign.version)],
          [t('tracks.code'), <code key="code">{campaign.codeVersion}</code>],
          [t('campaigns.madeBy'), campaign.creatorName],
          [
            t('tracks.made'),
            campaign.createdAtMs === 0 ? t('campaigns.always') : <Moment key="made" atMs={campaign.createdAtMs} />,
          ],
          [t('campaigns.beginFrom'), campaign.preset ?? undefined],
        ]}
      />
      {campaign.script === null ? <Parameters campaign={campaign} /> : <Script of={campaign.script} />}
    </div>
  )
}

/** What differs from the defaults, which is what `main` began with. */
function Parameters(props: { campaign: Campaign }): ReactNode {
  const { experiment, parameters } = props.campaign
  const catalogue = useAnswer(['reconstruction', 'parameters', experiment], (signal) =>
    apiOf(reconstructionContract).listParameters({ params: { experiment } }, { signal }),
  )
  const main = useAnswer(['reconstruction', 'campaign', experiment, automaticCampaign], (signal) =>
    apiOf(reconstructionContract).showCampaign({ params: { experiment, campaign: automaticCampaign } }, { signal }),
  )
  const ofMain = main.data?.campaign.parameters ?? {}
  return (
    <Answer to={catalogue}>
      {({ items }) => {
        const differing = items.filter(({ name }) => name in parameters || name in ofMain)
        if (differing.length === 0) return <p className="cy-quiet">{t('campaigns.allDefaults')}</p>
        return (
          <div className="cy-table-scroll">
            <table className="cy-table">
              <caption className="cy-visually-hidden">{t('campaigns.parameters')}</caption>
              <thead>
                <tr>
                  <th scope="col">{t('campaigns.parameter')}</th>
                  <th scope="col" className="cy-right">
                    {t('campaigns.here')}
                  </th>
                  <th scope="col" className="cy-right">
                    {t('campaigns.inMain')}
                  </th>
                  <th scope="col" className="cy-right">
                    {t('campaigns.default')}
                  </th>
                  <th scope="col">{t('campaigns.unit')}</th>
                  <th scope="col">{t('campaigns.reference')}</th>
                  <th scope="col">{t('campaigns.meaning')}</th>
                </tr>
              </thead>
              <tbody>
                {differing.map((fact) => (
                  <tr key={fact.name}>
                    <td className="cy-key">{fact.name}</td>
                    <td className="cy-right">{parameters[fact.name] ?? fact.default}</td>
                    <td className="cy-right">{ofMain[fact.name] ?? fact.default}</td>
                    <td className="cy-right">{fact.default}</td>
                    <td>{fact.unit}</td>
                    <td className="cy-mono">{fact.reference}</td>
                    <td>{fact.meaning}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )
      }}
    </Answer>
  )
}

function Script(props: { of: CampaignScript }): ReactNode {
  const { command, environment, files, gitCommit, cores, memoryMiB, walltimeSeconds, bucket, prefix } = props.of
  return (
    <Facts
      items={[
        [t('campaigns.command'), <code key="command">{command.join(' ')}</code>],
        [t('campaigns.environment'), environment],
        [
          t('campaigns.files'),
          files.length === 0 ? undefined : (
            <span key="files" title={files.map(({ path }) => path).join('\n')}>
              {t('campaigns.filesIn', { count: files.length, place: `${bucket}/${prefix}` })}
            </span>
          ),
        ],
        [t('campaigns.commit'), gitCommit === null ? t('campaigns.noCommit') : <code key="commit">{gitCommit}</code>],
        [t('campaigns.cores'), String(cores)],
        [t('campaigns.memory'), formatBytes(memoryMiB * 1024 * 1024)],
        [t('campaigns.walltime'), formatDuration(walltimeSeconds * 1000)],
      ]}
    />
  )
}

function Versions(props: { of: Campaign[] }): ReactNode {
  return (
    <div className="cy-table-scroll">
      <table className="cy-table">
        <thead>
          <tr>
            <th scope="col" className="cy-right">
              {t('campaigns.version')}
            </th>
            <th scope="col">{t('tracks.made')}</th>
            <th scope="col">{t('campaigns.madeBy')}</th>
            <th scope="col">{t('tracks.code')}</th>
            <th scope="col">{t('campaigns.differs')}</th>
          </tr>
        </thead>
        <tbody>
          {props.of.map((version) => (
            <tr key={version.version}>
              <td className="cy-right">{version.version}</td>
              <td>{version.createdAtMs === 0 ? t('campaigns.always') : <Moment atMs={version.createdAtMs} />}</td>
              <td>{version.creatorName}</td>
              <td className="cy-mono">{version.codeVersion}</td>
              <td className="cy-text">
                <RecipeWords of={version} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
