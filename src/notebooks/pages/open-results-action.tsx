/**
 * On the results page: a new notebook of the same runs and cuts, in a new tab. The page's state goes by a request that
 * the person's click makes; no link makes a notebook.
 */
import { Button } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { useLocation } from 'wouter'
import { Problem, apiOf, useMay } from '../../foundation/browser.tsx'
import { notebooksContract } from '../contract.ts'
import { t } from './messages.ts'

export default function OpenResultsAction(props: { experiment: string; address: string }): ReactNode {
  const { experiment, address } = props
  const may = useMay()
  const [, navigate] = useLocation()
  const open = useMutation({
    // The tab is opened by the click itself, as browsers want it, and led on when the session is there.
    mutationFn: async (tab: Window | null) => {
      try {
        const session = await apiOf(notebooksContract).startSession({ body: { experiment, results: address } })
        const next = `/e/${experiment}/sessions/open?session=${session.id}`
        if (tab === null) navigate(next)
        else tab.location.replace(next)
      } catch (error) {
        tab?.close()
        throw error
      }
    },
  })
  if (!may('sessions.start', experiment)) return null
  return (
    <>
      <Button
        size="compact-sm"
        loading={open.isPending}
        title={t('action.resultsHint')}
        onClick={() => {
          const tab = window.open('', '_blank')
          // People's own code will run there: it has no way back to this page.
          if (tab !== null) tab.opener = null
          open.mutate(tab)
        }}
      >
        {t('action.results')}
      </Button>
      {open.error !== null && <Problem error={open.error} title={t('open.failed')} />}
    </>
  )
}
