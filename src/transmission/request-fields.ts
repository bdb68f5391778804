import { commandName } from '../protocol/names.js';
import type { Client } from './client.js';
import type { RequestTable } from './requests.js';

/** What a log line says of a request. */
export function requestFields(client: Client, requests: RequestTable, request: number) {
  return {
    connection: client.record.id,
    peer: client.peer,
    export: client.target.name,
    command: commandName(requests.command[request]!),
    offset: requests.offset[request]!,
    length: requests.length[request]!,
  };
}
