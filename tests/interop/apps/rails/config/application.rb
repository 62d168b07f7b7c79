# What `rails new shop --minimal` writes, with Debian's gems instead of a bundle. The session store, its cookie's
# name and its serializer are the defaults.

require "rails"
require "active_model/railtie"
require "active_record/railtie"
require "action_controller/railtie"
require "action_view/railtie"

module Shop
  class Application < Rails::Application
    config.load_defaults 6.1
  end
end
