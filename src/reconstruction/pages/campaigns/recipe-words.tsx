/** What makes a campaign another one, in words; and how far it is, as figures. */
import type { ReactNode } from 'react'
import { Count, Figure, formatDuration } from '../../../foundation/browser.tsx'
import type { Campaign, CampaignProgress } from '../../contract.ts'
import { t } from '../messages.ts'

export function RecipeWords(props: { of: Pick<Campaign, 'parameters' | 'preset' | 'script'> }): ReactNode {
  const { script, parameters, preset } = props.of
  if (script !== null) return <code className="cy-mono">{script.command.join(' ')}</code>
  const settings = Object.entries(parameters)
  if (settings.length === 0) return preset === null ? t('campaigns.defaults') : t('campaigns.preset', { name: preset })
  const shown = settings.slice(0, 3).map(([name, value]) => `${name} = ${value}`)
  const more = settings.length - shown.length
  return (
    <>
      {preset !== null && `${t('campaigns.preset', { name: preset })}: `}
      {shown.join(', ')}
      {more > 0 && ` ${t('campaigns.more', { count: more })}`}
    </>
  )
}

export function ProgressFigures(props: { of: CampaignProgress }): ReactNode {
  const { done, submitted, waiting, failed, cancelled, remainingMs, perRunMs } = props.of
  return (
    <div className="cy-figures" role="status">
      <Figure value={<Count of={done} />} label={t('campaigns.done')} />
      <Figure value={<Count of={submitted} />} label={t('campaigns.working')} />
      <Figure value={<Count of={waiting} />} label={t('campaigns.waiting')} />
      <Figure value={<Count of={failed} />} label={t('campaigns.failed')} />
      {cancelled > 0 && <Figure value={<Count of={cancelled} />} label={t('campaigns.cancelled')} />}
      {perRunMs !== null && <Figure value={formatDuration(perRunMs)} label={t('campaigns.perRun')} />}
      {remainingMs !== null && (
        <Figure
          value={formatDuration(remainingMs)}
          label={t('campaigns.remaining')}
          title={t('campaigns.remainingHint')}
        />
      )}
    </div>
  )
}
