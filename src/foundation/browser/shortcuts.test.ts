import { describe, expect, test } from 'vitest'
import { createKeyReader } from './shortcuts.tsx'
import type { Shortcut } from './shortcuts.tsx'

function keyboard(shortcuts: Shortcut[][], enabled = true) {
  let nowMs = 0
  const read = createKeyReader({ shortcuts: new Set(shortcuts), enabled: () => enabled }, () => nowMs)
  return {
    press: (key: string, part: Partial<KeyboardEvent> = {}) =>
      read({
        key,
        ctrlKey: false,
        altKey: false,
        metaKey: false,
        defaultPrevented: false,
        target: null,
        preventDefault: () => {},
        ...part,
      } as KeyboardEvent),
    wait: (ms: number) => {
      nowMs += ms
    },
  }
}

describe('shortcuts', () => {
  const pressed: string[] = []
  const key = (keys: string): Shortcut => ({ keys, label: keys, run: () => pressed.push(keys) })
  const take = (): string[] => pressed.splice(0)

  test('single keys and sequences', () => {
    const keys = keyboard([[key('?'), key('g r'), key('j')]])
    for (const name of ['?', 'g', 'r', 'j', 'r']) keys.press(name)
    expect(take()).toEqual(['?', 'g r', 'j'])
  })
  test('a sequence is forgotten after a while', () => {
    const keys = keyboard([[key('g r')]])
    keys.press('g')
    keys.wait(1600)
    keys.press('r')
    expect(take()).toEqual([])
  })
  test('the page wins over the frame, and a letter may be both a key and the end of a sequence', () => {
    const keys = keyboard([[key('g s')], [{ keys: 's', label: 's', run: () => pressed.push('page s') }]])
    for (const name of ['s', 'g', 's']) keys.press(name)
    expect(take()).toEqual(['page s', 'g s'])
  })
  test('never while typing, with control keys, or when switched off', () => {
    const keys = keyboard([[key('j')]])
    keys.press('j', { target: { tagName: 'INPUT', type: 'text' } as unknown as EventTarget })
    keys.press('j', { target: { tagName: 'TEXTAREA' } as unknown as EventTarget })
    keys.press('j', { ctrlKey: true })
    keyboard([[key('j')]], false).press('j')
    expect(take()).toEqual([])
    keys.press('j', { target: { tagName: 'INPUT', type: 'checkbox' } as unknown as EventTarget })
    expect(take()).toEqual(['j'])
  })
})
