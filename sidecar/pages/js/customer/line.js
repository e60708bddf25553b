/* Above the messages of somebody who waits: their place in line, or that nobody is online, or that we are closed, and
 * a message can be left. */

