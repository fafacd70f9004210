/** The language a person reads the pages in: what was chosen in this browser, else what the browser asks for, else English. */
import { useSyncExternalStore } from 'react'

export const languages = { en: 'English', it: 'Italiano' } as const
export type Language = keyof typeof languages

const keptAs = 'cygnet.language'
const listeners = new Set<() => void>()
let chosen: Language | undefined

/** Pages ask at every word, so that a choice shows at once. */
export function currentLanguage(): Language {
  chosen ??= languageOf(keptChoice() ?? browserLanguage())
  return chosen
}

/** The person's choice, kept in this browser; a browser that keeps nothing has it until the page is closed. */
export function chooseLanguage(language: Language): void {
  chosen = language
  try {
    window.localStorage.setItem(keptAs, language)
  } catch {
    // Private windows may refuse.
  }
  showLanguage()
  for (const listener of listeners) listener()
}

/** Whoever uses it is drawn again, with everything inside, when another language is chosen. */
export function useLanguage(): Language {
  return useSyncExternalStore(listen, currentLanguage, currentLanguage)
}

/** Tells the browser, and with it screen readers, in which language the page is. */
export function showLanguage(): void {
  if (typeof document !== 'undefined') document.documentElement.lang = currentLanguage()
}

/** 'it', 'it-IT', 'IT' are Italian; what we do not speak is English. */
export function languageOf(tag: string | undefined): Language {
  const short = tag?.toLowerCase().split('-')[0] ?? ''
  return Object.hasOwn(languages, short) ? (short as Language) : 'en'
}

function keptChoice(): string | undefined {
  try {
    return window.localStorage.getItem(keptAs) ?? undefined
  } catch {
    return undefined
  }
}

function browserLanguage(): string | undefined {
  return typeof document === 'undefined' ? undefined : navigator.language
}

function listen(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
