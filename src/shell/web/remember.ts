/** Small personal settings kept in this browser. A browser that keeps nothing is fine: the defaults are used. */
type Setting = 'zone' | 'shortcuts' | 'experiment'

export function remembered(setting: Setting): string | undefined {
  try {
    return window.localStorage.getItem(`cygnet.${setting}`) ?? undefined
  } catch {
    return undefined
  }
}

export function remember(setting: Setting, value: string): void {
  try {
    window.localStorage.setItem(`cygnet.${setting}`, value)
  } catch {
    // Private windows may refuse; the setting then lasts as long as the page.
  }
}
