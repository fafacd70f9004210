/** Where people and clients reach an installation, from what its settings say; contradictions are refused with words. */
import { shellFaults } from './errors.ts'
import type { HttpSettings } from './http-settings.ts'

/** The content origin differs from the platform's in its host name, so that people's code never shares its cookies. */
export interface Addresses {
  /** Address of this machine to listen on; '*' is all of them. */
  listen: string
  platformPort: number
  /** The same as platformPort when host names tell the faces apart. */
  s3Port: number
  publicUrl: string
  /** May hold `*` as its first label: one host name per person. */
  contentUrl: string
  s3Url: string
  /** Ports of a sandbox's own loopback address, behind which it finds the platform and S3. Plain http, never leaves it. */
  workPorts: { platform: number; s3: number }
}

type Given = Partial<HttpSettings> & { port: number }

const loopback = new Set(['127.0.0.1', '::1', 'localhost'])

/** @throws Fault shell.invalid_addresses when the settings contradict each other or would be unsafe. */
export function addressesOf(http: Given): Addresses {
  const listen = http.listen ?? '127.0.0.1'
  const hasTls = http.tls !== undefined
  if (!loopback.has(listen) && !hasTls && http.behindProxy === undefined) {
    throw shellFaults.invalidAddresses(`Listening on ${listen === '*' ? 'all addresses' : listen} needs TLS.`, {
      hint: 'Set http.tls (certificate and key), or http.behindProxy when a proxy ends TLS, in cygnet.yaml.',
    })
  }
  const scheme = hasTls ? 'https' : 'http'
  const publicUrl = http.publicUrl ? originOf('publicUrl', http.publicUrl) : `${scheme}://127.0.0.1:${http.port}`
  const platform = new URL(publicUrl)
  if (platform.protocol === 'https:' && !hasTls && http.behindProxy === undefined)
    throw wrong('http.publicUrl is https, but nothing ends TLS.', 'Set http.tls, or http.behindProxy.')
  if (platform.protocol === 'http:' && (hasTls || !loopback.has(platform.hostname)))
    throw wrong(`http.publicUrl must be https: '${publicUrl}'.`, 'Passwords, cookies and keys travel over it.')

  const contentUrl = contentUrlOf(http, platform)
  const sharesPort =
    http.s3Url !== undefined && http.s3Port === undefined && portOf(new URL(http.s3Url)) === portOf(platform)
  const s3Port = http.s3Port ?? (sharesPort ? http.port : http.port + 1)
  if (http.s3Url === undefined && http.behindProxy !== undefined && http.publicUrl !== undefined)
    throw wrong('http.s3Url is missing.', 'Behind a proxy only you know under which name it passes S3 on.')
  const s3Url = http.s3Url
    ? originOf('s3Url', http.s3Url)
    : `${platform.protocol}//${platform.hostname}${s3Port === 443 ? '' : `:${s3Port}`}`
  const hosts = [platform.host, new URL(contentUrl).host, new URL(s3Url).host]
  if (s3Port === http.port && new Set(hosts).size < 3)
    throw wrong(
      'http.publicUrl, http.contentUrl and http.s3Url share a port and a name.',
      'Give each its own host name.',
    )
  for (const url of [contentUrl, s3Url])
    if (new URL(url).protocol !== platform.protocol)
      throw wrong(
        `'${url}' and '${publicUrl}' must both be ${platform.protocol.slice(0, -1)}.`,
        'Mixed pages do not work.',
      )
  return {
    listen,
    platformPort: http.port,
    s3Port,
    publicUrl,
    contentUrl,
    s3Url,
    // Programs in a sandbox may not listen below 1024.
    workPorts:
      hasTls || s3Port === http.port || Math.min(http.port, s3Port) < 1024
        ? { platform: 8410, s3: 8411 }
        : { platform: http.port, s3: s3Port },
  }
}

function contentUrlOf(http: Given, platform: URL): string {
  if (http.contentUrl === undefined) {
    const other = { '127.0.0.1': 'localhost', localhost: '127.0.0.1' }[platform.hostname]
    if (other !== undefined) return `${platform.protocol}//${other}${platform.port === '' ? '' : `:${platform.port}`}`
    throw wrong(
      'http.contentUrl is missing.',
      "People's notebooks need a host name of their own, beside the platform's.",
    )
  }
  const url = originOf('contentUrl', http.contentUrl)
  const { hostname } = new URL(url)
  if (hostname === platform.hostname)
    throw wrong(
      'http.contentUrl has the host name of http.publicUrl.',
      "People's code would share the platform's cookies.",
    )
  if (hostname.includes('*') && !/^\*\.[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(hostname))
    throw wrong(`http.contentUrl '${url}': a * is only the first label.`, 'Such as https://*.user.example.org')
  return url
}

function originOf(name: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    url.pathname !== '/' ||
    url.search !== '' ||
    url.hash !== ''
  )
    throw wrong(
      `http.${name} '${text}' is no address of a host.`,
      'Such as https://cygnet.example.org, without a path.',
    )
  if (url.username !== '' || url.password !== '') throw wrong(`http.${name} holds a password.`, 'Leave it out.')
  return `${url.protocol}//${url.host}`
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port)
  return url.protocol === 'https:' ? 443 : 80
}

function wrong(detail: string, hint: string): Error {
  return shellFaults.invalidAddresses(detail, { hint })
}
