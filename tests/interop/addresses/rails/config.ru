# Two pages with the routes that Rails makes by default: any format, and a locale in front.
require "rails"
require "action_controller/railtie"

class PagesController < ActionController::Base
  def account
    render plain: "the guarded page, token=[#{request.headers["X-Page-Token"]}]"
  end

  def home
    render plain: "open to all"
  end
end

class Pages < Rails::Application
  config.load_defaults 6.1
  config.eager_load = false
  config.logger = Logger.new(IO::NULL)
  config.secret_key_base = "only-for-this-test-0123456789abcdef"
  routes.append do
    scope "(:locale)", locale: /en|de/ do
      get "account", to: "pages#account"
      get "/", to: "pages#home"
    end
  end
end

Pages.initialize!
run Pages
