/**
 * Keeps one address, or a flood from many, from taking all connections. When there is no room, an idle connection of
 * the greediest stranger goes, never a new honest one; a part of the room is kept for addresses that have shown a valid
 * key or sign-in lately.
 */
import type { Server } from 'node:http'
import { isIPv6, type Socket } from 'node:net'
import { plainAddress } from '../../foundation/http-guard.ts'

export interface ConnectionLimits {
  connections: number
  connectionsPerAddress: number
}

export interface ConnectionGuard {
  /** Counts the connections of this server from now on. */
  watch(server: Server): void
  /** A request on this connection has begun; the connection is not idle until the returned function is called. */
  begin(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): () => void
  /** Somebody on this connection proved who he is. */
  prove(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): void
  counts(): { open: number; refused: number; evicted: number }
}

interface Connection {
  socket: Socket
  place: string
  busy: number
  isProven: boolean
}

const reserve = 1 / 4
const knownPlaces = 4096
const knownForMs = 15 * 60_000

export function createConnectionGuard(
  limits: ConnectionLimits,
  isProxy: (address: string | undefined) => boolean,
): ConnectionGuard {
  const byPlace = new Map<string, Set<Connection>>()
  const byPeer = new Map<string, Connection>()
  /** Places where somebody proved who he is, and when: least lately first. */
  const known = new Map<string, number>()
  let refused = 0
  let evicted = 0

  function isKnown(place: string): boolean {
    const atMs = known.get(place)
    return atMs !== undefined && performance.now() - atMs < knownForMs
  }

  function forget(connection: Connection, peer: string): void {
    byPeer.delete(peer)
    const those = byPlace.get(connection.place)
    those?.delete(connection)
    if (those?.size === 0) byPlace.delete(connection.place)
  }

  /** Ends the oldest idle connection of nobody we know in `those`; whether there was one. */
  function evictFrom(those: Iterable<Connection>): boolean {
    for (const connection of those) {
      if (connection.busy > 0 || connection.isProven) continue
      evicted++
      forget(connection, peerOf(connection.socket))
      connection.socket.destroy()
      return true
    }
    return false
  }

  function makeRoom(place: string): boolean {
    const own = byPlace.get(place)
    if (own !== undefined && own.size >= limits.connectionsPerAddress && !evictFrom(own)) return false
    const most = isKnown(place) ? limits.connections : Math.floor(limits.connections * (1 - reserve))
    if (byPeer.size < most) return true
    const greediest = [...byPlace.values()].toSorted((one, other) => other.size - one.size)
    return greediest.some((those) => evictFrom(those))
  }

  return {
    watch(server) {
      server.on('connection', (socket: Socket) => {
        if (socket.remoteAddress === undefined || isProxy(socket.remoteAddress)) return
        const place = placeOf(socket.remoteAddress)
        if (!makeRoom(place)) {
          refused++
          socket.destroy()
          return
        }
        const peer = peerOf(socket)
        const connection = { socket, place, busy: 0, isProven: false }
        byPeer.set(peer, connection)
        const those = byPlace.get(place) ?? new Set()
        byPlace.set(place, those.add(connection))
        socket.once('close', () => {
          if (byPeer.get(peer) === connection) forget(connection, peer)
        })
      })
    },
    begin(socket) {
      const connection = byPeer.get(peerOf(socket))
      if (connection === undefined) return () => {}
      connection.busy++
      let ended = false
      return () => {
        if (ended) return
        ended = true
        connection.busy--
        // The youngest again: what is idle for longest goes first.
        const those = byPlace.get(connection.place)
        if (those?.delete(connection)) those.add(connection)
      }
    },
    prove(socket) {
      const connection = byPeer.get(peerOf(socket))
      if (connection === undefined) return
      connection.isProven = true
      known.delete(connection.place)
      known.set(connection.place, performance.now())
      if (known.size > knownPlaces) known.delete(known.keys().next().value!)
    },
    counts: () => ({ open: byPeer.size, refused, evicted }),
  }
}

/** The same for a connection and the TLS on it. */
function peerOf({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${remoteAddress} ${remotePort}`
}

/** A subscriber of IPv6 has a whole /64. */
function placeOf(address: string): string {
  const plain = plainAddress(address)
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups =
    tail === undefined ? left : [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
  return groups.slice(0, 4).join(':')
}
