/** `Firefox on Linux` from a user agent string, in the reader's language. */
import { t } from './me-messages.ts'

export function browserName(userAgent: string): string {
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\/[\d.]+/.exec(userAgent)?.[1] ?? userAgent.split('/')[0] ?? ''
  const system = /(Windows|Android|iPhone|Mac OS X|Linux)/.exec(userAgent)?.[1]
  return system === undefined ? browser : t('me.on', { browser, system })
}
