/**
 * Page slots: what a room's `pages/index.ts` gives to the frame. A lower room never imports an upper one; the frame
 * joins the slots and the run page shows the panels of all of them.
 */
import { createContext, use } from 'react'
import type { ComponentType } from 'react'

type Loaded<Props> = () => Promise<{ default: ComponentType<Props> }>

export interface PageProps {
  params: Record<string, string>
}

export interface PageRoute {
  /** wouter pattern, for example `/e/:experiment/runs`. */
  path: string
  title: string
  /** Reached without signing in. */
  open?: boolean
  /** Uses the whole window, without the reading margin. */
  wide?: boolean
  load: Loaded<PageProps>
}

export interface NavigationEntry {
  label: string
  path: string
  /** Second key of the sequence `g …`. */
  key: string
  order: number
}

/** What every panel of a run page is told; a panel asks its own room for the rest. */
export interface RunPanelProps {
  experiment: string
  setup: string
  series: string
  number: number
  state: string
  images: number
}

export interface RunPanel {
  id: string
  title: string
  order: number
  load: Loaded<RunPanelProps>
}

/** A mark in the run table and in the chain of the run page, about one run each. */
export interface RunColumn {
  id: string
  title: string
  order: number
  load: Loaded<Omit<RunPanelProps, 'setup' | 'images'>>
}

export interface HomePanel {
  id: string
  title: string
  order: number
  /** `main` is the wide column, `side` the narrow one. */
  column: 'main' | 'side'
  load: Loaded<{ experiment: string }>
}

/** A button of the results page; `address` is what stands behind `?`, with the runs and the range that are shown. */
export interface ResultAction {
  id: string
  order: number
  load: Loaded<{ experiment: string; address: string }>
}

export interface PageSlot {
  room: string
  routes: PageRoute[]
  navigation?: NavigationEntry[]
  /** In the person's menu, for who administers the site. */
  sitePages?: { label: string; path: string; order: number }[]
  runPanels?: RunPanel[]
  /** Buttons in the header of a run page. */
  runActions?: RunPanel[]
  runColumns?: RunColumn[]
  /** Buttons in the header of the results page. */
  resultActions?: ResultAction[]
  homePanels?: HomePanel[]
  /** What every page has with it for who is signed in, such as a dialog that opens by itself. */
  overlays?: Loaded<object>[]
  /** Kinds of facts (by their beginning) that make this room's answers stale. */
  follows?: string[]
}

export const SlotContext = createContext<PageSlot[]>([])

/** All panels of one kind from all rooms, in their order. */
export function useSlots<Name extends 'runPanels' | 'runActions' | 'runColumns' | 'resultActions' | 'homePanels'>(
  name: Name,
): NonNullable<PageSlot[Name]> {
  const slots = use(SlotContext)
  const joined = slots.flatMap((slot) => [...(slot[name] ?? [])] as Array<{ order: number }>)
  return joined.sort((a, b) => a.order - b.order) as NonNullable<PageSlot[Name]>
}
