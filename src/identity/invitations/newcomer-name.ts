/** An account name out of what somebody is called: 'Anna Rossi' is offered arossi, annarossi, arossi2, … */
export function* accountNames(displayName: string, suggested?: string): Iterable<string> {
  const words = displayName
    .normalize('NFKD')
    .toLowerCase()
    .split(/[\s.'_-]+/)
    .map((word) => word.replaceAll(/[^a-z]/g, ''))
    .filter((word) => word !== '')
  const [first = '', ...rest] = words
  const last = rest.at(-1) ?? ''
  const short = last === '' ? first : `${first[0] ?? ''}${last}`
  const wished = (suggested ?? '').toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  const bases = [wished, short, `${first}${last}`, 'guest']
    .map((name) => name.slice(0, 16))
    .filter((name) => /^[a-z][a-z0-9]{1,15}$/.test(name))
  yield* new Set(bases.slice(0, -1))
  const base = bases[0]!
  for (let number = 2; number < 1000; number += 1) yield `${base}${number}`
}
