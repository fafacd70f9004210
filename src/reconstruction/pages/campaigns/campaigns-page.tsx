/** Which ways of processing runs are there, who made them, and how far are they? */
import { Button } from '@mantine/core'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import {
  Count,
  Moment,
  PageEnd,
  PageHead,
  Panel,
  Problem,
  StateMark,
  Waiting,
  apiOf,
  useMay,
  usePages,
  useRowKeys,
  useTitle,
} from '../../../foundation/browser.tsx'
import type { PageProps } from '../../../foundation/browser.tsx'
import { reconstructionContract } from '../../contract.ts'
import type { Campaign, CampaignProgress } from '../../contract.ts'
import { t } from '../messages.ts'
import { NewCampaign } from './new-campaign.tsx'
import { RecipeWords } from './recipe-words.tsx'

export default function CampaignsPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('campaigns.title'))
  const may = useMay()
  const [making, setMaking] = useState(false)
  const campaigns = usePages(['reconstruction', 'campaigns', experiment], (cursor, signal) =>
    apiOf(reconstructionContract).listCampaigns(
      { params: { experiment }, query: { limit: 50, ...(cursor === undefined ? {} : { cursor }) } },
      { signal },
    ),
  )
  return (
    <>
      <PageHead title={t('campaigns.title')}>
        {may('reconstruction.run', experiment) && !making && (
          <Button size="xs" onClick={() => setMaking(true)}>
            {t('campaigns.new')}
          </Button>
        )}
      </PageHead>
      <div className="cy-stack">
        <p className="cy-footnote">{t('campaigns.means')}</p>
        {making && (
          <Panel title={t('campaigns.new')}>
            <NewCampaign experiment={experiment} onDone={() => setMaking(false)} />
          </Panel>
        )}
        {campaigns.waiting ? (
          <Waiting rows={5} height={24} />
        ) : campaigns.error !== null && campaigns.items.length === 0 ? (
          <Problem error={campaigns.error} onRetry={campaigns.retry} />
        ) : (
          <>
            <CampaignTable experiment={experiment} rows={campaigns.items} />
            <PageEnd of={campaigns} />
          </>
        )}
      </div>
    </>
  )
}

function CampaignTable(props: {
  experiment: string
  rows: Array<Campaign & { progress: CampaignProgress }>
}): ReactNode {
  const table = useRowKeys({ next: t('campaigns.next'), previous: t('campaigns.previous') })
  return (
    <div className="cy-table-scroll">
      <table className="cy-table" ref={table}>
        <thead>
          <tr>
            <th scope="col">{t('campaigns.campaign')}</th>
            <th scope="col">{t('campaigns.kind')}</th>
            <th scope="col" className="cy-right">
              {t('campaigns.done')}
            </th>
            <th scope="col" className="cy-right">
              {t('campaigns.underWay')}
            </th>
            <th scope="col" className="cy-right">
              {t('campaigns.failed')}
            </th>
            <th scope="col">{t('campaigns.differs')}</th>
            <th scope="col">{t('campaigns.madeBy')}</th>
            <th scope="col">{t('tracks.made')}</th>
          </tr>
        </thead>
        <tbody>
          {props.rows.map(({ progress, ...campaign }) => (
            <tr key={campaign.name}>
              <td className="cy-key">
                <Link href={`/e/${props.experiment}/campaigns/${campaign.name}`}>{campaign.name}</Link>
              </td>
              <td>{t(`campaigns.kind.${campaign.kind}`)}</td>
              <td className="cy-right">
                <Count of={progress.done} />
              </td>
              <td className="cy-right">
                <Count of={progress.submitted + progress.waiting} />
              </td>
              <td className="cy-right">
                {progress.failed === 0 ? '0' : <StateMark tone="alarm">{String(progress.failed)}</StateMark>}
              </td>
              <td className="cy-text">
                <RecipeWords of={campaign} />
              </td>
              <td>{campaign.creatorName}</td>
              <td>{campaign.createdAtMs === 0 ? t('campaigns.always') : <Moment atMs={campaign.createdAtMs} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
