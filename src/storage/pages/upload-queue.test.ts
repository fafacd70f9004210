import { describe, expect, test } from 'vitest'
import { createUploadQueue, keyFor } from './upload-queue.ts'
import type { Send } from './upload-queue.ts'

const file = (name: string, size: number) => new File([new Uint8Array(size)], name)
const settled = () => new Promise((resolve) => setTimeout(resolve, 0))

describe('uploads', () => {
  test('a dropped folder keeps its structure', () => {
    expect(keyFor('mine/', { name: 'a.txt' })).toBe('mine/a.txt')
    expect(keyFor('', { name: 'a.txt', webkitRelativePath: 'dir/a.txt' })).toBe('dir/a.txt')
  })

  test('one after the other, with progress; a failure does not stop the next and can be tried again', async () => {
    const sent: string[] = []
    let broken = true
    const send: Send = async (key, { size }, onProgress) => {
      if (key === 'b' && broken) throw new Error('refused')
      onProgress(size / 2)
      sent.push(key)
    }
    let stored = 0
    const queue = createUploadQueue(
      send,
      () => (stored += 1),
      () => 0,
    )
    queue.add('', [file('a', 4), file('b', 4), file('c', 4)])
    await settled()
    expect(queue.uploads().map((upload) => upload.state)).toEqual(['done', 'failed', 'done'])
    expect(queue.uploads()[0]?.sentBytes).toBe(4)
    broken = false
    queue.retry(2)
    await settled()
    expect(sent).toEqual(['a', 'c', 'b'])
    expect(stored).toBe(3)
    queue.clear()
    expect(queue.uploads()).toEqual([])
  })

  test('cancelling aborts the one on its way', async () => {
    const send: Send = (_key, _file, _onProgress, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
    const queue = createUploadQueue(
      send,
      () => {},
      () => 0,
    )
    queue.add('', [file('a', 1)])
    await settled()
    queue.cancel(1)
    await settled()
    expect(queue.uploads()).toEqual([])
  })
})
