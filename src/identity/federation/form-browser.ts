/** For tests only: a browser without scripts, for the pages of institutes: follows redirects, fills forms, keeps cookies. */

export interface FormBrowser {
  /**
   * From an address of the institute on, as a person would: fields whose name is in `answers` are filled, the button of
   * that name and value is pressed. Ends where the institute sends the browser to an address that begins with `until`.
   */
  walk(address: string, answers: Record<string, string>, until: string): Promise<URL>
  cookies: Map<string, string>
}

const mostSteps = 20

export function openFormBrowser(): FormBrowser {
  const cookies = new Map<string, string>()

  async function load(address: string, form?: URLSearchParams): Promise<Response> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(address, {
      redirect: 'manual',
      headers: { cookie, referer: address },
      ...(form !== undefined && { method: 'POST', body: form }),
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '' || /max-age=0/i.test(line)) cookies.delete(name)
      else cookies.set(name, value)
    }
    return response
  }

  return {
    cookies,
    async walk(start, answers, until) {
      let [address, form] = [start, undefined as URLSearchParams | undefined]
      const seen: string[] = []
      for (let step = 0; step < mostSteps; step++) {
        seen.push(`${form === undefined ? 'GET' : 'POST'} ${address.split('?', 1)[0]}`)
        const response = await load(address, form)
        const location = response.headers.get('location')
        if (location !== null) {
          const next = new URL(location, address)
          if (next.href.startsWith(until)) return next
          ;[address, form] = [next.href, undefined]
          continue
        }
        const page = await response.text()
        const filled = response.status === 200 ? fill(page, answers) : undefined
        if (filled === undefined)
          throw new Error(
            `status ${response.status} and no form after ${seen.join(', ')}: ${page.replace(/<[^>]*>|\s+/g, ' ').slice(0, 1500)}`,
          )
        ;[address, form] = [filled.action === undefined ? address : new URL(filled.action, address).href, filled.form]
      }
      throw new Error(`never arrived: ${seen.join(', ')}`)
    },
  }
}

/** The first form of the page that asks for anything known, or has only hidden fields and a known button. */
function fill(
  page: string,
  answers: Record<string, string>,
): { action: string | undefined; form: URLSearchParams } | undefined {
  for (const [, attributes = '', inside = ''] of page.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)) {
    if (!/method\s*=\s*"?post/i.test(attributes)) continue
    const form = new URLSearchParams()
    let known = false
    for (const [tag] of inside.matchAll(/<(?:input|button)\b[^>]*>/gi)) {
      const name = attributeOf(tag, 'name')
      const value = attributeOf(tag, 'value') ?? ''
      if (name === undefined) continue
      const isButton = /^<button/i.test(tag) || /type\s*=\s*"?submit/i.test(tag)
      const answer = answers[name]
      if (answer !== undefined && (!isButton || answer === value)) known = true
      if (isButton) {
        if (answer === value) form.set(name, value)
      } else form.set(name, answer ?? value)
    }
    if (known) return { action: attributeOf(attributes, 'action'), form }
  }
  return undefined
}

function attributeOf(tag: string, name: string): string | undefined {
  const [, quoted, bare] = new RegExp(`\\b${name}\\s*=\\s*(?:"([^"]*)"|([^\\s">]+))`, 'i').exec(tag) ?? []
  return (quoted ?? bare)?.replaceAll('&amp;', '&').replaceAll('&#34;', '"').replaceAll('&#39;', "'")
}
