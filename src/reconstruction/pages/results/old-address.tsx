/** `/e/:experiment/tracks` of earlier versions: links in notes go on working. */
import { useEffect } from 'react'
import type { ReactNode } from 'react'
import { useLocation, useSearch } from 'wouter'
import { Waiting } from '../../../foundation/browser.tsx'
import type { PageProps } from '../../../foundation/browser.tsx'
import { addressOfResults } from '../../contract.ts'

export default function OldAddress(props: PageProps): ReactNode {
  const [, navigate] = useLocation()
  const search = useSearch()
  const experiment = props.params['experiment'] ?? ''
  useEffect(() => {
    const sel = new URLSearchParams(search).get('series') ?? ''
    navigate(addressOfResults(experiment, { sel, trend: 'summary' }), { replace: true })
  }, [experiment, search, navigate])
  return <Waiting />
}
