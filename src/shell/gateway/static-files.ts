/** Serves the built web app: hashed assets for ever, the page itself never from a cache, any unknown path = the app. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { pipeline } from 'node:stream/promises'

const contentTypes: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
}

export function createStaticFiles(folder: string, headers: Record<string, string>) {
  return async (request: IncomingMessage, response: ServerResponse, path: string): Promise<void> => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end()
      return
    }
    const asset = await assetAt(folder, path)
    if (!asset && path.startsWith('/assets/')) {
      response.writeHead(404, headers).end('not found\n')
      return
    }
    const { file, sizeBytes } = asset ?? (await assetAt(folder, '/index.html')) ?? { file: undefined, sizeBytes: 0 }
    if (file === undefined) {
      response
        .writeHead(503, { ...headers, 'content-type': 'text/plain' })
        .end('The web app is not built. Run: ./cygnet up\n')
      return
    }
    response.writeHead(200, {
      ...headers,
      'content-type': contentTypes[extname(file)] ?? 'application/octet-stream',
      'content-length': sizeBytes,
      'cache-control': path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
    })
    if (request.method === 'HEAD') response.end()
    else await pipeline(createReadStream(file), response).catch(() => response.destroy())
  }
}

async function assetAt(folder: string, path: string): Promise<{ file: string; sizeBytes: number } | undefined> {
  let decoded: string
  try {
    decoded = decodeURIComponent(path)
  } catch {
    return undefined
  }
  const file = normalize(join(folder, decoded))
  if (!file.startsWith(`${folder}/`) || decoded.includes('\0')) return undefined
  const status = await stat(file).catch(() => undefined)
  return status?.isFile() ? { file, sizeBytes: status.size } : undefined
}
