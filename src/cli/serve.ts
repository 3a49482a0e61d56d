/**
 * `mmtop serve`: what is watched, as OpenMetrics on loopback, under the names that node_exporter gives the same figures.
 *
 *     GET /metrics      the newest sample
 *     GET /             where to find it
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { summaryPaths } from '../sample/files.ts'
import { feed, type Model, newTracker } from '../sample/model.ts'
import type { Source } from '../sample/source.ts'
import { UserError } from '../user_error.ts'
import { asOpenMetrics } from '../view/headless/openmetrics.ts'
import { complain, EXIT } from './exit.ts'

const HOST = '127.0.0.1'
const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
/** Processes whose page tables are read for it. */
const WATCHED = 50

export interface Serving {
  readonly url: string
  close(): Promise<void>
}

/** @throws UserError where the port cannot be had */
export async function serve(source: Source, port: number): Promise<Serving> {
  const newest: { model: Model | undefined } = { model: undefined }
  const server = createServer((request, response) => {
    const { model } = newest
    if (request.method !== 'GET' && request.method !== 'HEAD') response.writeHead(405, { allow: 'GET, HEAD' }).end()
    else if (request.url === '/') response.writeHead(200, { 'content-type': 'text/plain' }).end('mmtop: see /metrics\n')
    else if (request.url?.replace(/\?.*/, '') !== '/metrics') response.writeHead(404).end()
    else if (model === undefined) response.writeHead(503, { 'retry-after': '1' }).end('no sample yet\n')
    else response.writeHead(200, { 'content-type': OPEN_METRICS }).end(asOpenMetrics(model, 'node_'))
  })
  const url = `http://${HOST}:${await listening(server, port)}/metrics`
  const following = follow(source, newest)
  return {
    url,
    close: async () => {
      await source.close()
      await new Promise(resolve => server.close(resolve))
      await following
    },
  }
}

async function follow(source: Source, newest: { model: Model | undefined }): Promise<void> {
  const tracker = newTracker(source, 60, 2)
  for (let frame = await source.next(); frame !== undefined; frame = await source.next()) {
    newest.model = feed(tracker, frame, source.pace())
    const pids = newest.model.sample.tasks().map(task => task.pid)
    source.watch(summaryPaths(pids.slice(0, WATCHED)))
  }
}

function listening(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: Error) => reject(new UserError(`port ${port}: ${error.message.replace(/^listen /, '')}`)))
    server.listen(port, HOST, () => {
      const address: AddressInfo | string | null = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

/** Serves until it is interrupted. */
export async function serveUntilStopped(source: Source, port: number): Promise<number> {
  const { url, close } = await serve(source, port)
  complain(`${url} until it is interrupted`)
  await new Promise<void>(resolve => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
  await close()
  return EXIT.interrupted
}
