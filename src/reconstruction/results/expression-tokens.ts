/** Text of an expression into its words. Runs in browsers and in Node. */
import { Misreading } from './misreading.ts'

export interface Token {
  kind: 'number' | 'name' | 'symbol' | 'end'
  text: string
  value: number
  at: number
  end: number
}

const pattern =
  /(?<space>\s+)|(?<number>(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][+-]?\d+)?)|(?<name>[A-Za-z_][A-Za-z0-9_]*)|(?<symbol>\*\*|<=|>=|==|!=|&&|\|\||[-+*/%^()<>=,!&|≤≥≠])/y

/** Other ways to write the same word. */
const same: Record<string, string> = {
  '**': '^',
  '&&': 'and',
  '&': 'and',
  '||': 'or',
  '|': 'or',
  '!': 'not',
  '=': '==',
  '≤': '<=',
  '≥': '>=',
  '≠': '!=',
}
const words = new Set(['and', 'or', 'not'])

/** The last token is of kind `end`. */
export function readTokens(text: string): Token[] {
  const tokens: Token[] = []
  const end = text.trimEnd().length
  let at = 0
  while (at < end) {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match === null) {
      const sign = String.fromCodePoint(text.codePointAt(at)!)
      throw new Misreading(`'${sign}' cannot be used here`, at, sign.length)
    }
    const { number, name, symbol } = match.groups!
    const place = { at, end: pattern.lastIndex }
    at = pattern.lastIndex
    if (number !== undefined) {
      const value = Number(number.replaceAll('_', ''))
      if (!Number.isFinite(value)) throw new Misreading(`'${number}' is not a number`, place.at, number.length)
      tokens.push({ kind: 'number', text: number, value, ...place })
    } else if (name !== undefined) {
      const isWord = words.has(name.toLowerCase())
      tokens.push({ kind: isWord ? 'symbol' : 'name', text: isWord ? name.toLowerCase() : name, value: 0, ...place })
    } else if (symbol !== undefined) tokens.push({ kind: 'symbol', text: same[symbol] ?? symbol, value: 0, ...place })
  }
  return [...tokens, { kind: 'end', text: '', value: 0, at: end, end }]
}
