/** `/runs/sim:2`, as references are written elsewhere, leads to `/runs/sim/2`. */
import type { ReactNode } from 'react'
import { Redirect } from 'wouter'
import type { PageProps } from '../../foundation/browser.tsx'
import { runAddress } from './marks.tsx'

export default function RunRedirect(props: PageProps): ReactNode {
  return (
    <Redirect
      to={runAddress(props.params['experiment'] ?? '', decodeURIComponent(props.params['run'] ?? ''))}
      replace
    />
  )
}
