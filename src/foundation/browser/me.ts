/** Who is signed in, as far as pages need it: for showing and hiding, never for deciding. */
import { createContext, use } from 'react'
import type { Action } from '../contract.ts'

export interface Me {
  id: string
  name: string
  displayName: string
  siteAdmin: boolean
  /** Experiment name (or `site`) to the actions allowed there. */
  rights: Record<string, string[]>
  /** Came by a recovery link: can do nothing but make a new way to sign in. */
  recovering?: boolean | undefined
}

export const MeContext = createContext<Me | undefined>(undefined)

export function useMe(): Me | undefined {
  return use(MeContext)
}

/** May the person do this there? Decides what is offered; the server decides what happens. */
export function useMay(): (action: Action, experiment?: string) => boolean {
  const me = useMe()
  return (action, experiment) => {
    if (me === undefined) return false
    if (me.siteAdmin) return true
    return (me.rights[experiment ?? 'site'] ?? []).includes(action)
  }
}
