/** The images of the run as bars: height is the number of selected clusters, so that busy events are found at a glance. */
import { useEffect, useRef } from 'react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import type { ReconstructedEvent } from '../../contract.ts'
import { t } from '../messages.ts'
import type { EventName } from './event-data.ts'

export function Filmstrip(props: {
  name: EventName
  last: number
  events: ReconstructedEvent[]
  onStep: (event: number) => void
}): ReactNode {
  const { name, last } = props
  const strip = useRef<HTMLElement>(null)
  useEffect(() => {
    // Only sideways: scrollIntoView would also move the page away from the image.
    const here = strip.current?.querySelector<HTMLElement>('[aria-current]')
    if (strip.current !== null && here !== null && here !== undefined) {
      strip.current.scrollLeft = here.offsetLeft - strip.current.offsetLeft - strip.current.clientWidth / 2
    }
  }, [name.event])
  const most = Math.max(...props.events.map((event) => event.selectedClusters), 1)
  const known = new Map(props.events.map((event) => [event.event, event]))
  return (
    <nav ref={strip} className="cy-strip-events" aria-label={t('strip.label')}>
      {Array.from({ length: Math.min(last + 1, 2000) }, (_, event) => {
        const about = known.get(event)
        const words =
          about === undefined
            ? t('strip.event', { event })
            : t('strip.known', { event, clusters: about.selectedClusters })
        return (
          <Link
            key={event}
            href={`/e/${name.experiment}/runs/${name.series}/${name.number}/events/${event}`}
            aria-current={event === name.event ? 'page' : undefined}
            aria-label={words}
            title={words}
            onClick={(click) => {
              click.preventDefault()
              props.onStep(event)
            }}
          >
            <span style={{ height: about === undefined ? 2 : 2 + (about.selectedClusters / most) * 26 }} />
            <small>{event}</small>
          </Link>
        )
      })}
    </nav>
  )
}
