/* The customer says who they are, and the chat starts. Before it: nothing; after it: a session key. On the page and in
 * the widget; what was typed survives a reload of the tab.
 */

