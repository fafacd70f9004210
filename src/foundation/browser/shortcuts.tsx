/**
 * Keyboard: a page declares its keys, the frame shows them under `?`. Sequences are written with a space (`g r`).
 * Single keys never fire while the person types, and all of them can be switched off (WCAG 2.1.4).
 */
import { createContext, use, useEffect, useRef } from 'react'

export interface Shortcut {
  keys: string
  label: string
  run: (event: KeyboardEvent) => void
}

export interface ShortcutRegistry {
  shortcuts: Set<Shortcut[]>
  enabled: () => boolean
}

export const ShortcutContext = createContext<ShortcutRegistry>({ shortcuts: new Set(), enabled: () => false })

/** Declares keys for as long as the component is on screen. The list may be made anew on each render. */
export function useShortcuts(shortcuts: Shortcut[]): void {
  const registry = use(ShortcutContext)
  const live = useRef<Shortcut[]>([])
  useEffect(() => {
    live.current.splice(0, live.current.length, ...shortcuts)
  })
  useEffect(() => {
    const own = live.current
    registry.shortcuts.add(own)
    return () => {
      registry.shortcuts.delete(own)
    }
  }, [registry])
}

/** Is the person typing into something, so that a letter is a letter? */
export function isTyping(target: EventTarget | null): boolean {
  const element = target as { tagName?: string; isContentEditable?: boolean; type?: string } | null
  if (element?.tagName === undefined) return false
  if (element.isContentEditable === true) return true
  if (element.tagName === 'INPUT')
    return !['checkbox', 'radio', 'button', 'range', 'submit'].includes(element.type ?? '')
  return element.tagName === 'TEXTAREA' || element.tagName === 'SELECT'
}

/** The name of a pressed key in our notation: `Shift` is part of the character, Ctrl, Alt and Meta are never ours. */
export function keyOf(event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'altKey' | 'metaKey'>): string | undefined {
  if (event.ctrlKey || event.altKey || event.metaKey) return undefined
  return event.key === ' ' ? 'Space' : event.key
}

/**
 * Feeds keys to the shortcuts, remembering a started sequence for 1.5 s. Later declared pages win over the frame.
 * Returns the function to give key events to.
 */
export function createKeyReader(registry: ShortcutRegistry, now: () => number): (event: KeyboardEvent) => void {
  let pending = ''
  let pendingUntilMs = 0
  return (event) => {
    if (!registry.enabled() || event.defaultPrevented || isTyping(event.target)) return
    const key = keyOf(event)
    if (key === undefined || key === 'Shift') return
    const all = [...registry.shortcuts].reverse().flat()
    const sequence = pending !== '' && now() < pendingUntilMs ? `${pending} ${key}` : key
    const match = all.find((shortcut) => shortcut.keys === sequence) ?? all.find((shortcut) => shortcut.keys === key)
    pending = ''
    if (match !== undefined) {
      event.preventDefault()
      match.run(event)
      return
    }
    if (all.some((shortcut) => shortcut.keys.startsWith(`${key} `))) {
      pending = key
      pendingUntilMs = now() + 1500
    }
  }
}
