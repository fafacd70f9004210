/**
 * Who is believed about where a request came from: only the proxies named in the settings. From everybody else the
 * X-Forwarded headers mean nothing and go no further.
 */
import { BlockList, isIP } from 'node:net'
import type { IncomingMessage } from 'node:http'
import { plainAddress, setClientAddress } from '../../foundation/http-guard.ts'
import { shellFaults } from '../errors.ts'

export interface TrustedProxies {
  isTrusted(address: string | undefined): boolean
  /** Sets the request's client address and Host to what a trusted proxy says; whether it came to the proxy by plain http. */
  settle(request: IncomingMessage): { isPlainHttp: boolean }
}

/** @throws Fault shell.invalid_addresses for what is no address and no network. */
export function createTrustedProxies(trusted: readonly string[]): TrustedProxies {
  const list = new BlockList()
  for (const each of trusted) {
    const [address = '', bits] = each.split('/')
    const kind = isIP(address)
    const most = kind === 4 ? 32 : 128
    const length = bits === undefined ? most : Number(bits)
    if (kind === 0 || !Number.isInteger(length) || length < 0 || length > most) {
      throw shellFaults.invalidAddresses(`http.behindProxy.trusted: '${each}' is no address.`, {
        hint: 'Such as 127.0.0.1, 10.0.0.0/8 or fd00::/8.',
      })
    }
    list.addSubnet(address, length, kind === 4 ? 'ipv4' : 'ipv6')
  }

  function isTrusted(given: string | undefined): boolean {
    const address = plainAddress(given ?? '')
    const kind = isIP(address)
    return kind !== 0 && list.check(address, kind === 4 ? 'ipv4' : 'ipv6')
  }

  return {
    isTrusted,
    settle(request) {
      if (!isTrusted(request.socket.remoteAddress)) return { isPlainHttp: false }
      const { 'x-forwarded-for': chain, 'x-forwarded-proto': protocol, 'x-forwarded-host': host } = request.headers
      const address = addressIn(String(chain ?? ''))
      if (address !== undefined) setClientAddress(request, address)
      if (typeof host === 'string' && host !== '' && !host.includes(',')) setHost(request, host)
      return { isPlainHttp: lastOf(String(protocol ?? '')).toLowerCase() === 'http' }
    },
  }

  /** From the right: the first address that is not one of our own proxies. What stands left of it anybody can write. */
  function addressIn(chain: string): string | undefined {
    const hops = chain.split(',').map((hop) => plainAddress(hop.trim()))
    for (const hop of hops.toReversed()) {
      if (isIP(hop) === 0) return undefined
      if (!isTrusted(hop)) return hop
    }
    return hops[0]
  }
}

function lastOf(list: string): string {
  return list.split(',').at(-1)!.trim()
}

/** In both forms of the headers: signatures of S3 are checked on the raw ones. */
function setHost(request: IncomingMessage, host: string): void {
  request.headers.host = host
  const index = request.rawHeaders.findIndex((name, each) => each % 2 === 0 && name.toLowerCase() === 'host')
  if (index !== -1) request.rawHeaders[index + 1] = host
}
