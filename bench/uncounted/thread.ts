import './off.js';
import '../../src/server/thread.js';
