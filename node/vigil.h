/* vigil.h - libvigil: what another program needs to talk to a node.
 *
 *     #include <vigil.h>                     cc consumer.c $(pkg-config --cflags --libs vigil)
 *
 * The calls are those of API.md; a line of JSON each, built and read with jansson.
 */
#pragma once

#include "node/client.h"
