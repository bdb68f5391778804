import './off.js';
import '../../src/cli/main.js';
