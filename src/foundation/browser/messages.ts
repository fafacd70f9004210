/**
 * The message catalogue: pages hold keys, `pages/messages.ts` of each room holds the words, English and, where people from
 * outside come first, Italian too.
 * The syntax is the small part of ICU MessageFormat we need: `{name}`, and
 * `{count, plural, =0 {none} one {# run} other {# runs}}`.
 */
import { currentLanguage, type Language } from './language.ts'

export type Values = Record<string, string | number>

export type Translate<Messages extends Record<string, string>> = (
  key: keyof Messages & string,
  values?: Values,
) => string

/**
 * The catalogue of one room as a function; an unknown key is a type error and, should it happen, shows itself. A
 * catalogue that has another language has every word in it; one that has not is English for everybody.
 */
export function messagesOf<const Messages extends Record<string, string>>(
  messages: Messages,
  translations: Partial<Record<Exclude<Language, 'en'>, Record<keyof Messages & string, string>>> = {},
): Translate<Messages> {
  return (key, values) => {
    const language = currentLanguage()
    const translated = language === 'en' ? undefined : translations[language]?.[key]
    if (translated !== undefined) return formatMessage(translated, values ?? {}, language)
    return formatMessage(messages[key] ?? `⟨${key}⟩`, values ?? {})
  }
}

const pluralRules = { en: new Intl.PluralRules('en'), it: new Intl.PluralRules('it') }
const wholeNumbers = {
  en: new Intl.NumberFormat('en', { maximumFractionDigits: 3 }),
  it: new Intl.NumberFormat('it', { maximumFractionDigits: 3 }),
}

/** Fills one message. A value that is not given is shown as its name in braces, so that it is seen and repaired. */
export function formatMessage(message: string, values: Values, language: Language = 'en'): string {
  let out = ''
  let position = 0
  while (position < message.length) {
    const open = message.indexOf('{', position)
    if (open < 0) return out + message.slice(position)
    out += message.slice(position, open)
    const close = closingBrace(message, open)
    out += formatArgument(message.slice(open + 1, close), values, language)
    position = close + 1
  }
  return out
}

function formatArgument(inside: string, values: Values, language: Language): string {
  const comma = inside.indexOf(',')
  if (comma < 0) {
    const value = values[inside.trim()]
    return value === undefined ? `{${inside}}` : String(value)
  }
  const name = inside.slice(0, comma).trim()
  const rest = inside.slice(comma + 1).trim()
  if (!rest.startsWith('plural')) return `{${inside}}`
  const count = Number(values[name])
  const choices = readChoices(rest.slice(rest.indexOf(',') + 1))
  const chosen =
    choices.get(`=${count}`) ?? choices.get(pluralRules[language].select(count)) ?? choices.get('other') ?? ''
  return formatMessage(chosen.replaceAll('#', wholeNumbers[language].format(count)), values, language)
}

function readChoices(text: string): Map<string, string> {
  const choices = new Map<string, string>()
  let position = 0
  while (position < text.length) {
    const open = text.indexOf('{', position)
    if (open < 0) break
    const close = closingBrace(text, open)
    choices.set(text.slice(position, open).trim(), text.slice(open + 1, close))
    position = close + 1
  }
  return choices
}

function closingBrace(text: string, open: number): number {
  let depth = 0
  for (let index = open; index < text.length; index += 1) {
    if (text[index] === '{') depth += 1
    if (text[index] === '}') {
      depth -= 1
      if (depth === 0) return index
    }
  }
  return text.length
}
