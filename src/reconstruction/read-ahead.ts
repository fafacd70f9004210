/**
 * Asks a source for its next item before the present one is worked on, so that reading or inflating the next image goes
 * on meanwhile. One item is held beside the one in work.
 */
export async function* readAhead<Item>(source: AsyncIterable<Item>): AsyncGenerator<Item> {
  const items = source[Symbol.asyncIterator]()
  let next = items.next()
  try {
    for (let step = await next; step.done !== true; step = await next) {
      next = items.next()
      // It is awaited in its turn; until then its failure is nobody's.
      next.catch(() => undefined)
      yield step.value
    }
  } finally {
    await next.catch(() => undefined)
    await items.return?.()
  }
}
