/// settings.h: the command line as options of an engine.
#ifndef TW_APP_SETTINGS_H
#define TW_APP_SETTINGS_H

#include "app/options.h"

/// Writes the JSON object that tw_engine_new takes. @return false without memory
bool tw_settings_write(const tw_options *options, tw_builder *json);

#endif
