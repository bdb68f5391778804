#!/usr/bin/env node
import { report, run } from './run.js';

// A reader of our stdout that has gone is no reason to stop serving.
process.stdout.on('error', () => {});

process.on('uncaughtException', (error) => process.exit(report(error)));
process.on('unhandledRejection', (error) => process.exit(report(error)));

process.exit(await run(process.argv.slice(2)));
